//! What an operator decides about an alert.

use crate::alerts::Context;
use crate::alerts::book::Book;
use crate::alerts::book::Input;
use crate::alerts::book::Step;
use crate::alerts::emit::Emission;
use crate::alerts::emit::Remark;
use crate::alerts::state::Closing;
use crate::model::DirectiveKind;
use crate::model::EventKind;
use crate::model::event::Status;
use crate::model::verdict::Decision;
use crate::model::verdict::Effect;
use crate::model::verdict::Role;

/// An operator's own ending or retraction.
pub(super) fn operator(book: &mut Book, context: &Context<'_>, input: &Input<'_>, step: &mut Step) {
    let article = input.article;
    let Some(directive) = &article.directive else { return };
    let at = book.states().find(|s| s.alert.view.id == directive.alert).map(|s| s.at.clone());
    let Some(at) = at else { return };
    let Some(state) = book.state(&at).filter(|s| s.applied < input.position) else { return };
    let (allowed, role, kind) = match directive.kind {
        DirectiveKind::End => (state.alert.is_open(), Role::End, EventKind::Ended),
        DirectiveKind::Retract => {
            let status = state.alert.view.status;
            (status != Status::Retracted, Role::Retract, EventKind::Retracted)
        }
    };
    let Some(state) = book.open_for_change(&at) else { return };
    state.applied = input.position;
    state.now = state.now.max(article.received_at);
    let mut decision = Decision {
        rule: at.rule.clone(),
        key: at.key.clone(),
        role,
        effect: Effect::Listed,
        event: None,
        alert: Some(directive.alert.clone()),
    };
    if allowed {
        let now = state.now;
        let by = Some((article.id.clone(), article.revision));
        let closing = Closing { at: now, dated: article.dated(), by };
        let remark = Remark { reason: Some(&directive.reason), ..Remark::default() };
        let event = Emission::at(now, context.ruleset).close(state, kind, closing, remark);
        decision.effect = Effect::Event(kind);
        decision.event = Some(event.id.clone());
        step.events.push(event);
    }
    step.decisions.push(decision);
}
