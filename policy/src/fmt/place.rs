//! What a text is, by the keys that lead to it.

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A selector.
    Selector,
    /// A claim.
    Claim,
    /// Another.
    Other,
}

/// The keys that lead to a node, of which lists add none.
#[derive(Clone, Debug, Default)]
pub(super) struct Path<'t> {
    keys: Vec<&'t str>,
    policy: bool,
}

impl<'t> Path<'t> {
    /// The root of a policy, or of a file of another kind.
    pub(super) fn root(policy: bool) -> Self {
        Self { keys: Vec::new(), policy }
    }

    /// What stands under a key of it.
    pub(super) fn under(&self, key: &'t str) -> Self {
        if self.keys.is_empty() && !self.policy && key == "policy" {
            return Self::root(true);
        }
        let keys = self.keys.iter().copied().chain([key]).collect();
        Self { keys, policy: self.policy }
    }

    /// What a text there is.
    pub(super) fn role(&self) -> Role {
        match self.keys.as_slice() {
            ["groups", _] | ["owns"] | ["rules" | "detect", "from" | "to"] if self.policy => Role::Selector,
            ["tests"] if self.policy => Role::Claim,
            _ => Role::Other,
        }
    }

    /// Whether the spaces behind keys are made one.
    pub(super) fn tightens(&self) -> bool {
        self.policy
    }
}
