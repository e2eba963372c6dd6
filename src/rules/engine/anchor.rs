//! Anchors: the words without which a query cannot match. A rule is looked at only on articles
//! that have one of its anchors.

/// What can be seen in an article: a term, a pair of terms side by side, or a list of which some
/// entry may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Term(u32),
    Pair(u32),
    List(u32),
}

/// One anchor, and what must be seen as well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post {
    pub(super) key: Key,
    pub(super) second: Option<Key>,
}

/// A sufficient set of anchors: where none is seen, the query does not match.
#[derive(Clone, Debug, Default)]
pub(super) struct Anchor {
    /// Expected number of times an article has them.
    pub(super) cost: f32,
    pub(super) posts: Vec<Post>,
    /// Whether seeing one means that the query matches in title or body.
    pub(super) exact: bool,
}

impl Anchor {
    pub(super) fn one(key: Key, second: Option<Key>, cost: f32, exact: bool) -> Self {
        Self { cost, posts: vec![Post { key, second }], exact }
    }

    /// The same, but seeing it is not enough.
    pub(super) fn inexact(mut self) -> Self {
        self.exact = false;
        self
    }

    /// The term or pair that must be seen in any case, if it is one. Lists are seen too late.
    fn single(&self) -> Option<Key> {
        match self.posts.as_slice() {
            [Post { key: Key::List(_), .. }] => None,
            [post] => Some(post.key),
            _ => None,
        }
    }

    /// Any of these.
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self { exact: true, ..Self::default() };
        for part in parts {
            all.cost += part.cost;
            all.exact &= part.exact;
            for post in part.posts {
                if all.posts.len() > 64
                    || !all.posts.iter().any(|p| p.key == post.key && p.second == post.second)
                {
                    all.posts.push(post);
                }
            }
        }
        all
    }

    /// All of these: the rarest, with another one beside it.
    pub(super) fn all(parts: Vec<Self>) -> Self {
        let count = parts.len();
        let rarest = (0..count).min_by(|a, b| parts[*a].cost.total_cmp(&parts[*b].cost));
        let Some(rarest) = rarest else { return Self::default() };
        let others =
            parts.iter().enumerate().filter(|(at, part)| *at != rarest && part.single().is_some());
        let other = others.min_by(|(_, a), (_, b)| a.cost.total_cmp(&b.cost)).map(|(_, part)| part);
        let second = other.and_then(Self::single);
        let other_exact =
            other.is_some_and(|o| o.exact && o.posts.iter().all(|p| p.second.is_none()));
        let mut parts = parts;
        let mut chosen = parts.swap_remove(rarest);
        if count == 1 {
            return chosen;
        }
        let alone = chosen.posts.iter().all(|post| post.second.is_none());
        chosen.exact &= count == 2 && other_exact && alone;
        for post in &mut chosen.posts {
            post.second = post.second.or(second);
        }
        chosen
    }
}
