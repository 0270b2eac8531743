//! What a center has published, and an agent may hold.

use std::sync::Arc;

use policy::Inventory;

use crate::scenario::PolicyText;

/// What the center has published: an agent that it cannot reach keeps an older one.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The policy; without one, agents stay closed.
    pub policy: Option<Arc<PolicyText>>,
    /// The inventory.
    pub inventory: Inventory,
}
