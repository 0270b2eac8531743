//! Building selectors.

use policy::Selector;

/// All of these; every VM where there are none.
pub(crate) fn all(parts: Vec<Selector>) -> Selector {
    joined(parts, Selector::Vms, Selector::And)
}

/// Any of these; nobody can be meant by none, so that is `None`.
pub(crate) fn either(parts: Vec<Selector>) -> Option<Selector> {
    let mut once: Vec<Selector> = Vec::new();
    parts.into_iter().for_each(|part| {
        if !once.contains(&part) {
            once.push(part);
        }
    });
    if once.contains(&Selector::Vms) {
        once.retain(|part| *part == Selector::Vms || part.may_be_outside());
    }
    (!once.is_empty()).then(|| joined(once, Selector::Vms, Selector::Or))
}

/// Both of two; `vms` says nothing beside another.
pub(crate) fn both(one: &Selector, other: &Selector) -> Selector {
    let mut parts = Vec::new();
    for selector in [one, other] {
        match selector {
            Selector::And(inner) => parts.extend(inner.iter().cloned()),
            Selector::Vms => {}
            Selector::Any | Selector::Outside | Selector::Addresses(_) | Selector::Has(_) | Selector::Equals(..) => {
                parts.push(selector.clone());
            }
            Selector::Differs(..) | Selector::In(..) | Selector::Not(_) | Selector::Or(_) => {
                parts.push(selector.clone());
            }
        }
    }
    all(parts)
}

fn joined(mut parts: Vec<Selector>, none: Selector, join: impl FnOnce(Vec<Selector>) -> Selector) -> Selector {
    match (parts.pop(), parts.is_empty()) {
        (None, _) => none,
        (Some(only), true) => only,
        (Some(last), false) => {
            parts.push(last);
            join(parts)
        }
    }
}
