//! A view's detectors.

use std::time::Duration;

use policy::{Response, Watch};

use super::{At, DecodeError, Decoded};
use crate::ViewDetector;
use crate::proto::{self, view_detector::Then, view_detector::Watch as Watched};

impl From<ViewDetector> for proto::ViewDetector {
    fn from(ViewDetector { name, watch, within, peers, then }: ViewDetector) -> Self {
        let watch = match watch {
            Watch::Scan { ports } => Watched::Ports(ports),
            Watch::Sweep { peers } => Watched::Vms(peers),
            Watch::Flood { connections } => Watched::Connections(connections),
            Watch::Volume { bytes } => Watched::Bytes(bytes),
        };
        let then = match then {
            Response::Alert => Then::Alert(proto::Empty {}),
            Response::Intercept(time) => Then::Intercept(milliseconds(time)),
            Response::Quarantine(time) => Then::Quarantine(milliseconds(time)),
        };
        Self { name, within, peers, watch: Some(watch), then: Some(then) }
    }
}

impl TryFrom<proto::ViewDetector> for ViewDetector {
    type Error = DecodeError;

    fn try_from(detector: proto::ViewDetector) -> Decoded<Self> {
        let proto::ViewDetector { name, within, peers, watch, then } = detector;
        let watch = match watch.at("watch")? {
            Watched::Ports(ports) => Watch::Scan { ports },
            Watched::Vms(peers) => Watch::Sweep { peers },
            Watched::Connections(connections) => Watch::Flood { connections },
            Watched::Bytes(bytes) => Watch::Volume { bytes },
        };
        let then = match then.at("then")? {
            Then::Alert(proto::Empty {}) => Response::Alert,
            Then::Intercept(time) => Response::Intercept(Duration::from_millis(time)),
            Then::Quarantine(time) => Response::Quarantine(Duration::from_millis(time)),
        };
        Ok(Self { name, watch, within, peers, then })
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
