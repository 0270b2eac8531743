//! What is asked of the agent at its machine, and what it looks at now and then.

use agent_core::Suspended;

use super::Rim;
use crate::control::{Asked, Order};
use crate::edge::Edge;
use crate::error::Error;
use crate::keeper::Kept;
use crate::kernel;
use crate::suspended;

/// A suspension lasts a day at most, in seconds.
const LONGEST: u64 = 86_400;

impl<E: Edge> Rim<E> {
    /// Looks whether other tables' rules do something to what ours rely on.
    pub(crate) fn look_at_others(&mut self) {
        match self.kernel.others() {
            Ok(others) if others != self.status.others => {
                others.iter().for_each(|other| tracing::warn!("{other}"));
                self.status.others = others;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("cannot look at other tables: {error}"),
        }
    }

    /// Tries again to keep what the disk had no room for.
    pub(crate) fn keep_again(&mut self) {
        self.keeper.try_again(&self.folder);
    }

    /// Does what is asked for by the agent's own socket, and answers when it is in force.
    pub(crate) fn ordered(&mut self, asked: Asked) -> Result<(), Error> {
        let Asked { order, by, answer } = asked;
        let now = self.now();
        let kept = match order {
            Order::Suspend { seconds } => {
                let left = seconds.clamp(1, LONGEST).saturating_mul(1000);
                let kept = suspended::keep(&self.folder, left, &by);
                if kept.is_ok() {
                    self.machine.handle_suspended(Suspended { until: now.saturating_add(left), by }, now);
                }
                kept
            }
            Order::Uninstall => {
                self.machine.handle_uninstall(&by);
                self.leaving = Some(answer);
                return Ok(());
            }
            Order::Resume => {
                self.machine.handle_resumed(&by, now);
                self.folder.forget_suspended()
            }
        };
        self.pump()?;
        let told = match (kept, self.machine.facts().suspended) {
            (Err(error), _) => format!("cannot {error}\n"),
            (Ok(()), _) if self.keeper.kept() == Kept::Older => "cannot write to the state folder\n".to_owned(),
            (Ok(()), Some(_)) => "suspended\n".to_owned(),
            (Ok(()), None) => "not suspended\n".to_owned(),
        };
        answer.send(told);
        Ok(())
    }

    /// Whether the agent is to be taken away.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Removes the rules, if the agent is to be taken away, and says so.
    pub(crate) async fn take_away(&mut self) -> Result<(), Error> {
        let Some(answer) = self.leaving.take() else { return Ok(()) };
        kernel::remove()?;
        answer.send_last("the rules are removed\n".to_owned()).await;
        Ok(())
    }
}
