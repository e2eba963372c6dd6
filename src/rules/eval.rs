//! The value of a query on an article: the definitions of the language, one by one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::rules::page::Page;
use crate::rules::query::Near;
use crate::rules::query::Nearness;
use crate::rules::query::Node;
use crate::rules::query::Phrase;
use crate::rules::query::Scope;
use crate::rules::value::Budget;
use crate::rules::value::GivenUp;
use crate::rules::value::Interval;
use crate::rules::value::Value;
use crate::rules::value::before;
use crate::rules::value::not_near;

type Evaluated = Result<Value, GivenUp>;

/// The value of a list and what it cost, so that asking again costs the query the same.
type Remembered = Result<(Rc<Value>, u32), GivenUp>;

/// An article under evaluation: both texts, and the lists already evaluated on it.
pub(crate) struct Reading<'t, 'r> {
    pub(crate) title: Page<'t>,
    pub(crate) body: Page<'t>,
    /// One past the last code point of the body that belongs to the lead.
    pub(crate) lead_end: u32,
    /// The entries of each list, by its number.
    pub(crate) lists: &'r [Vec<Node>],
    remembered: RefCell<HashMap<(usize, Scope), Remembered>>,
}

impl<'t, 'r> Reading<'t, 'r> {
    pub(crate) fn new(
        (title, body): (Page<'t>, Page<'t>),
        lead_end: usize,
        lists: &'r [Vec<Node>],
    ) -> Self {
        let lead_end = u32::try_from(lead_end).unwrap_or(u32::MAX);
        Self { title, body, lead_end, lists, remembered: RefCell::default() }
    }

    /// The value of a query, or that it made too many intervals.
    pub(crate) fn evaluate(&self, query: &Node, scope: Scope) -> Evaluated {
        self.node(query, scope, &mut Budget::default())
    }

    fn node(&self, node: &Node, scope: Scope, budget: &mut Budget) -> Evaluated {
        match node {
            Node::Phrase(phrase) => self.phrase(phrase, scope, budget),
            Node::List(id) => self.list(*id, scope, budget).map(|v| Value::clone(&v)),
            Node::Or(parts) => self.union(parts, scope, budget),
            Node::And(parts) => self.all(parts, scope, budget),
            Node::Not(left, right) => {
                let value = self.node(left, scope, budget)?;
                if value.is_empty() || !self.node(right, scope, budget)?.is_empty() {
                    return Ok(Value::default());
                }
                Ok(value)
            }
            Node::Near(near) => self.near(near, scope, budget),
            Node::Field(field, inner) => self.node(inner, *field, budget),
        }
    }

    fn phrase(&self, phrase: &Phrase, scope: Scope, budget: &mut Budget) -> Evaluated {
        let mut value = Value::default();
        if scope != Scope::Body {
            value.title = self.title.find(phrase, budget)?;
        }
        if scope != Scope::Title {
            value.body = self.body.find(phrase, budget)?;
        }
        if scope == Scope::Lead {
            value.body.retain(|interval| self.body.span(*interval).1 <= self.lead_end);
        }
        Ok(value)
    }

    fn union(&self, parts: &[Node], scope: Scope, budget: &mut Budget) -> Evaluated {
        let mut value = Value::default();
        for part in parts {
            value.unite(&self.node(part, scope, budget)?);
        }
        Ok(value)
    }

    fn all(&self, parts: &[Node], scope: Scope, budget: &mut Budget) -> Evaluated {
        let mut value = Value::default();
        for part in parts {
            let more = self.node(part, scope, budget)?;
            if more.is_empty() {
                return Ok(more);
            }
            value.unite(&more);
        }
        Ok(value)
    }

    /// The value of a list: the union of its entries, evaluated once an article and scope.
    pub(crate) fn list(
        &self,
        id: usize,
        scope: Scope,
        budget: &mut Budget,
    ) -> Result<Rc<Value>, GivenUp> {
        let known = self.remembered.borrow().get(&(id, scope)).cloned();
        let remembered = known.unwrap_or_else(|| {
            let mut own = Budget::default();
            let entries = self.lists.get(id).map_or(&[][..], Vec::as_slice);
            let value = self.union(entries, scope, &mut own);
            let remembered = value.map(|v| (Rc::new(v), own.spent()));
            self.remembered.borrow_mut().insert((id, scope), remembered.clone());
            remembered
        });
        let (value, cost) = remembered?;
        budget.charge(cost)?;
        Ok(value)
    }

    fn near(&self, near: &Near, scope: Scope, budget: &mut Budget) -> Evaluated {
        let left = self.node(&near.left, scope, budget)?;
        if left.is_empty() {
            return Ok(Value::default());
        }
        let right = self.node(&near.right, scope, budget)?;
        let title = join(near, &self.title, (&left.title, &right.title), budget)?;
        let body = join(near, &self.body, (&left.body, &right.body), budget)?;
        Ok(Value { title, body })
    }
}

fn join(
    near: &Near,
    page: &Page<'_>,
    (left, right): (&[Interval], &[Interval]),
    budget: &mut Budget,
) -> Result<Vec<Interval>, GivenUp> {
    if left.is_empty() {
        return Ok(Vec::new());
    }
    match near.nearness {
        Nearness::NotNear => Ok(not_near(page, left, right, near.distance)),
        Nearness::Before => before(page, (left, right), near.distance, budget),
        Nearness::Near => {
            let mut found = before(page, (left, right), near.distance, budget)?;
            found.extend(before(page, (right, left), near.distance, budget)?);
            found.sort_unstable();
            found.dedup();
            Ok(found)
        }
    }
}
