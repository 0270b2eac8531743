//! Reading what changes at one VM: its addresses, its mode, its suspension, its agent's build.

use std::net::IpAddr;

use policy::yaml;

use super::super::{Action, Ending};
use super::doing::Item;
use super::steps::Fold;
use super::{Reader, keys};

/// What ends a suspension.
pub(crate) const ENDINGS: [(&str, Ending); 2] = [("order", Ending::Order), ("time", Ending::Time)];

impl Reader<'_> {
    /// `address: {vm: a, add: 10.98.0.77}` or `address: {vm: a, drop: 10.98.0.77}`.
    pub(super) fn address_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "address: {vm: NAME, add: ADDRESS}")?;
        let fields = self.fields(node, "an `address`", &keys::ADDRESS, &[])?;
        let vm = fields.require("vm", &mut self.problems);
        let vm = self.field_vm(vm, fold);
        let (node, add) = match (fields.get("add"), fields.get("drop")) {
            (Some(node), None) => (node, true),
            (None, Some(node)) => (node, false),
            (Some(_), Some(_)) | (None, None) => {
                self.wrong(fields.span(), "`address` needs either `add` or `drop`");
                return None;
            }
        };
        let address = yaml::parsed::<IpAddr>(node, "an address", &mut self.problems);
        Some(Action::Address { vm: vm?, address: address?, add })
    }

    /// `interface: {vm: a, addresses: [10.98.0.77]}` or `interface: {vm: a, gone: true}`.
    pub(super) fn interface_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "interface: {vm: NAME, addresses: [ADDRESS]}")?;
        let fields = self.fields(node, "an `interface`", &keys::INTERFACE, &[])?;
        let vm = fields.require("vm", &mut self.problems);
        let vm = self.field_vm(vm, fold);
        let gone = fields.get("gone").and_then(|node| yaml::word(node, &[("true", true)], &mut self.problems));
        let addresses = fields.get("addresses").map(|node| self.addresses(node)).unwrap_or_default();
        if gone.is_some() != addresses.is_empty() {
            self.wrong(fields.span(), "`interface` needs either `addresses` or `gone: true`");
            return None;
        }
        Some(Action::Interface { vm: vm?, addresses })
    }

    /// `mode: {vm: a, mode: monitor}`.
    pub(super) fn mode_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "mode: {vm: NAME, mode: monitor}")?;
        let fields = self.fields(node, "a `mode`", &keys::MODE, &[])?;
        let (vm, mode) = (fields.require("vm", &mut self.problems), fields.require("mode", &mut self.problems));
        let vm = self.field_vm(vm, fold);
        let mode = mode.and_then(|mode| yaml::word(mode, &policy::keys::MODES, &mut self.problems));
        Some(Action::Mode { vm: vm?, mode: mode? })
    }

    /// `suspend: {vm: a, for: 10m}`.
    pub(super) fn suspend_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "suspend: {vm: NAME, for: 10m}")?;
        let fields = self.fields(node, "a `suspend`", &keys::SUSPEND, &[])?;
        let (vm, time) = (fields.require("vm", &mut self.problems), fields.require("for", &mut self.problems));
        let vm = self.field_vm(vm, fold);
        let text = yaml::text(time?, "a time such as 10m", &mut self.problems)?;
        let units = [('s', 1), ('m', 60), ('h', 3600)];
        let parts = units.iter().find_map(|(unit, seconds)| Some((text.as_str().strip_suffix(*unit)?, *seconds)));
        let seconds = parts.and_then(|(number, seconds)| number.parse::<u64>().ok()?.checked_mul(seconds));
        let seconds = seconds.filter(|seconds| (1..=86_400).contains(seconds));
        if seconds.is_none() {
            self.wrong(text.span(), "expected a time from 1s to 24h, such as 10m");
        }
        Some(Action::Suspend { vm: vm?, seconds: seconds? })
    }

    /// `resume: {vm: a, by: order}`, or `by: time`.
    pub(super) fn resume_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "resume: {vm: NAME, by: order}")?;
        let fields = self.fields(node, "a `resume`", &keys::RESUME, &[])?;
        let (vm, by) = (fields.require("vm", &mut self.problems), fields.require("by", &mut self.problems));
        let vm = self.field_vm(vm, fold);
        let by = by.and_then(|by| yaml::word(by, &ENDINGS, &mut self.problems));
        Some(Action::Resume { vm: vm?, by: by? })
    }

    /// `upgrade: a`.
    pub(super) fn upgrade_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        self.vm_of(item, fold).map(|vm| Action::Upgrade { vm })
    }
}
