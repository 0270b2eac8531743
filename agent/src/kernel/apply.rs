//! The tables of one network namespace: laid, looked after, repaired.
use std::net::IpAddr;

use agent_core::Ruleset;
use nft::{Batch, Counted, Error, Meddling, Socket, read_counters};

use super::egress::{self, Senders};
use super::maps::{InForce, MAPS};
use super::rules::table;
use super::skeleton::{self, COUNTERS};

/// What another table's rules do, and what follows.
fn described(table: &str, deed: Meddling) -> String {
    match deed {
        Meddling::ConnectionMark => {
            format!("table {table} writes connection marks: what a flow was judged by is lost, or forged by chance")
        }
        Meddling::PacketMark => {
            format!("table {table} writes packet marks: what it touches is denied by eastwest/bypass")
        }
        Meddling::Rewriting => {
            format!(
                "table {table} writes addresses or ports into packets: what is judged may be neither what came nor what leaves"
            )
        }
        Meddling::Translation => format!("table {table} translates addresses: such flows are denied by eastwest/nat"),
    }
}

/// Removes all that is in force in the calling thread's network namespace: nothing is judged there any more.
///
/// # Errors
/// When the kernel refuses.
pub fn remove() -> Result<(), Error> {
    let mut socket = Socket::open()?;
    for table in [table(), egress::devices()] {
        let mut batch = Batch::new();
        batch.add_table(&table).delete_table(&table);
        batch.commit(&mut socket)?;
    }
    Ok(())
}

/// The tables of one network namespace.
#[derive(Debug)]
pub struct Kernel {
    pub(super) socket: Socket,
    /// What marks a packet as judged.
    pub(super) stamp: u32,
    pub(super) senders: Senders,
    /// The machine's addresses by the ruleset in force, where that is ours.
    pub(super) own: Vec<IpAddr>,
    /// The sets into which the rules look.
    pub(super) in_force: InForce,
    /// Those of a change of which it is not known whether it was made.
    pub(super) turning: Option<InForce>,
    /// The kernel's number of the ruleset as we left it, and whether others have changed it since the last look.
    left_at: u32,
    disturbed: bool,
    /// Why the kernel does not look at what leaves; `None` where it does.
    unguarded: Option<String>,
}

impl Kernel {
    /// Opens the calling thread's network namespace and lays the chains. Where they stand with a policy, it stays in
    /// force; where nothing stands, everything but loopback and neighbours is dropped until the first ruleset. `stamp`
    /// marks what was judged: a number that nobody else in this namespace knows, the same for as long as the chains stand.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open(stamp: u32) -> Result<Self, Error> {
        let mut socket = Socket::open()?;
        let mut batch = Batch::new();
        let in_force = skeleton::in_force(&mut socket)?;
        skeleton::lay(&mut batch, stamp);
        let mut guarded = batch.clone();
        egress::lay(&mut guarded, stamp);
        let unguarded = guarded.commit(&mut socket).err().map(|error| error.to_string());
        if unguarded.is_some() {
            batch.commit(&mut socket)?;
        }
        let left_at = socket.generation()?;
        let senders = Senders::here();
        let mut kernel = Self {
            socket,
            stamp,
            senders,
            own: Vec::new(),
            in_force,
            turning: None,
            left_at,
            disturbed: false,
            unguarded,
        };
        // A former life may have ended while it filled sets into which nobody looks.
        kernel.empty(MAPS)?;
        Ok(kernel)
    }

    /// Why packets that were not judged can leave; `None` where they cannot.
    #[must_use]
    pub fn unguarded(&self) -> Option<&str> {
        self.unguarded.as_deref()
    }

    /// Looks at the calling thread's interfaces again: frames may leave with their link addresses.
    ///
    /// # Errors
    /// When the kernel refuses; then they may as soon as all is laid anew.
    pub fn look(&mut self) -> Result<(), Error> {
        let senders = Senders::here();
        if senders == self.senders || self.unguarded.is_some() {
            return Ok(());
        }
        self.senders = senders;
        let mut batch = Batch::new();
        egress::senders(&mut batch, &self.senders, &self.own);
        self.commit(&batch)
    }

    /// Lays anew all that is in force, and removes what others put into our tables. Counters go on where they stand.
    ///
    /// # Errors
    /// When the kernel refuses even to begin from nothing.
    pub fn repair(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        if let Err(error) =
            self.apply(ruleset, None).and_then(|()| self.remove_strangers()).and_then(|()| self.empty(MAPS))
        {
            tracing::warn!("cannot repair the tables, and begin from nothing: {error}");
            self.remove_tables()?;
            self.apply(ruleset, None)?;
        }
        Ok(())
    }

    /// Removes chains and sets that are none of ours.
    fn remove_strangers(&mut self) -> Result<(), Error> {
        let mut batch = Batch::new();
        for (table, chains, sets) in [skeleton::names(), egress::names()] {
            let is_strange = |all: &[String], name: &String| !all.contains(name);
            let strange: Vec<String> = self.socket.chains(&table)?.into_iter().map(|chain| chain.name).collect();
            let strange: Vec<String> = strange.into_iter().filter(|name| is_strange(&chains, name)).collect();
            // Strangers may jump into one another.
            for chain in &strange {
                batch.flush_chain(&table, chain);
            }
            for chain in &strange {
                batch.delete_chain(&table, chain);
            }
            for set in self.socket.sets(&table)?.iter().filter(|set| is_strange(&sets, &set.name)) {
                batch.delete_set(&table, &set.name);
            }
        }
        self.commit(&batch)
    }

    /// Empties the sets of maps into which no rule looks.
    pub(super) fn empty(&mut self, maps: impl IntoIterator<Item = &'static str>) -> Result<(), Error> {
        let mut batch = Batch::new();
        for map in maps {
            batch.flush_set(&table(), &self.in_force.bank(map).other().name(map));
        }
        self.commit(&batch)
    }

    /// Lays everything but what changes with a ruleset.
    pub(super) fn lay(&self, batch: &mut Batch) {
        skeleton::lay(batch, self.stamp);
        if self.unguarded.is_none() {
            egress::lay(batch, self.stamp);
            egress::senders(batch, &self.senders, &self.own);
        }
    }

    /// Removes our tables, also where somebody made one of them unusable.
    fn remove_tables(&mut self) -> Result<(), Error> {
        for table in [table(), egress::devices()] {
            let mut batch = Batch::new();
            batch.add_table(&table).delete_table(&table);
            self.commit(&batch)?;
        }
        Ok(())
    }

    /// The counters of inbound and outbound outcomes.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn counters(&mut self) -> Result<[Vec<Counted>; 2], Error> {
        let [inbound, outbound] = COUNTERS.map(|set| read_counters(&mut self.socket, &table(), set));
        Ok([inbound?, outbound?])
    }

    /// Gives a batch to the kernel, and notes whether anybody else did since the last one.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let before = self.generation()?;
        batch.commit(&mut self.socket)?;
        let after = self.generation()?;
        // Where a batch changes nothing, the number stays.
        self.disturbed |= before != self.left_at || after.wrapping_sub(before) > 1;
        self.left_at = after;
        Ok(())
    }

    /// Whether anybody but us has changed a ruleset in this namespace since the last call.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn is_disturbed(&mut self) -> Result<bool, Error> {
        let now = self.generation()?;
        let disturbed = std::mem::take(&mut self.disturbed) || now != self.left_at;
        self.left_at = now;
        Ok(disturbed)
    }

    /// What other tables' rules do to what ours rely on, as people read it.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn others(&mut self) -> Result<Vec<String>, Error> {
        let found = self.socket.others(&[table(), egress::devices()])?;
        Ok(found.into_iter().map(|(table, deed)| described(&table, deed)).collect())
    }

    /// The number of the kernel's ruleset in this namespace: it rises with every change, ours or another's.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn generation(&mut self) -> Result<u32, Error> {
        self.socket.generation()
    }

    pub(crate) fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }
}
