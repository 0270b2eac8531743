//! What operators say.

use std::collections::BTreeMap;

use policy::{Mode, Name};

use super::record::kind_in;
use super::{At, DecodeError, Decoded, address_in, address_out, addresses_in, addresses_out, each, out};
use super::{prefixes_in, small, socket_in};
use crate::{CenterStatus, InventoryFile, InventoryVm, PolicyVersion, RecordQuery, StoredRecord, proto};

impl From<InventoryFile> for proto::InventoryFile {
    fn from(InventoryFile { managed, vms, record_all }: InventoryFile) -> Self {
        Self { managed: out(managed), vms: vms.into_iter().map(vm_out).collect(), record_all }
    }
}

impl TryFrom<proto::InventoryFile> for InventoryFile {
    type Error = DecodeError;

    fn try_from(file: proto::InventoryFile) -> Decoded<Self> {
        let proto::InventoryFile { managed, vms, record_all } = file;
        let vms = vms.into_iter().map(vm_in).collect::<Decoded<BTreeMap<_, _>>>()?;
        Ok(Self { managed: prefixes_in(&managed, "managed")?, vms, record_all })
    }
}

fn vm_out((name, vm): (Name, InventoryVm)) -> proto::InventoryVm {
    let InventoryVm { labels, addresses, allowed, managed, dhcp, mode } = vm;
    let (addresses, monitor) = (addresses_out(addresses), mode == Mode::Monitor);
    proto::InventoryVm { name: name.into(), labels, addresses, allowed: out(allowed), managed, monitor, dhcp }
}

fn vm_in(vm: proto::InventoryVm) -> Decoded<(Name, InventoryVm)> {
    let proto::InventoryVm { name, labels, addresses, allowed, managed, monitor, dhcp } = vm;
    let addresses = addresses_in(&addresses, "addresses")?;
    let allowed = prefixes_in(&allowed, "allowed")?;
    let mode = if monitor { Mode::Monitor } else { Mode::Enforce };
    Ok((Name::try_from(name).at("name")?, InventoryVm { labels, addresses, allowed, managed, dhcp, mode }))
}

impl From<PolicyVersion> for proto::PolicyVersion {
    fn from(PolicyVersion { generation, published, text }: PolicyVersion) -> Self {
        Self { generation, published, text }
    }
}

impl From<proto::PolicyVersion> for PolicyVersion {
    fn from(proto::PolicyVersion { generation, published, text }: proto::PolicyVersion) -> Self {
        Self { generation, published, text }
    }
}

impl From<RecordQuery> for proto::RecordQuery {
    fn from(RecordQuery { vm, kind, rule, address, port, after, limit }: RecordQuery) -> Self {
        let kind = kind.map_or(proto::RecordKind::Unspecified, Into::into).into();
        Self { vm, kind, rule, address: address.map(address_out), port: port.map(u32::from), after, limit }
    }
}

impl TryFrom<proto::RecordQuery> for RecordQuery {
    type Error = DecodeError;

    fn try_from(query: proto::RecordQuery) -> Decoded<Self> {
        let proto::RecordQuery { vm, kind, rule, address, port, after, limit } = query;
        let kind = kind_in(kind, "kind")?;
        let address = address.map(|bytes| address_in(&bytes, "address")).transpose()?;
        let port = port.map(|port| small(port, "port")).transpose()?;
        Ok(Self { vm, kind, rule, address, port, after, limit })
    }
}

impl From<StoredRecord> for proto::StoredRecord {
    fn from(StoredRecord { id, record }: StoredRecord) -> Self {
        Self { id, record: Some(record.into()) }
    }
}

impl TryFrom<proto::StoredRecord> for StoredRecord {
    type Error = DecodeError;

    fn try_from(proto::StoredRecord { id, record }: proto::StoredRecord) -> Decoded<Self> {
        Ok(Self { id, record: record.at("record")?.try_into()? })
    }
}

impl From<CenterStatus> for proto::CenterStatus {
    fn from(CenterStatus { generation, agents, listen, held }: CenterStatus) -> Self {
        let listen = listen.map(Into::into);
        Self { generation, agents: out(agents), listen, held: addresses_out(held) }
    }
}

impl TryFrom<proto::CenterStatus> for CenterStatus {
    type Error = DecodeError;

    fn try_from(proto::CenterStatus { generation, agents, listen, held }: proto::CenterStatus) -> Decoded<Self> {
        let listen = listen.map(|listen| socket_in(&listen, "listen")).transpose()?;
        Ok(Self { generation, agents: each(agents)?, listen, held: addresses_in(&held, "held")? })
    }
}
