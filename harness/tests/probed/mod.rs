//! The probe of a planned cell.

use harness::evidence::Probe;
use harness::plan::PlannedCell;

/// As the harness sends it.
pub(crate) fn probe(cell: &PlannedCell) -> Probe {
    Probe {
        id: 1,
        source: cell.source.to_string(),
        destination: cell.destination.to_string(),
        source_address: cell.source_address,
        destination_address: cell.destination_address,
        service: cell.service,
        family: cell.family,
    }
}
