//! The center's services.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use wire::proto::enrolment_server::EnrolmentServer;
use wire::proto::session_server::SessionServer;

use crate::store::Store;

mod admin;
mod enrolment;
mod outgoing;
mod session;

pub(crate) use admin::AdminService;
pub(crate) use enrolment::EnrolmentService;
pub(crate) use session::{DEAD, SessionService};

/// Both services of the agents' port, told apart by the request's path.
pub(crate) struct Routes<S: Store> {
    /// Without a certificate.
    pub(crate) enrolment: EnrolmentServer<EnrolmentService<S>>,
    /// With one.
    pub(crate) session: SessionServer<SessionService<S>>,
}

impl<S: Store> Clone for Routes<S> {
    fn clone(&self) -> Self {
        Self { enrolment: self.enrolment.clone(), session: self.session.clone() }
    }
}

impl<S: Store> Service<http::Request<Body>> for Routes<S> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().starts_with("/eastwest.v1.Enrolment/") {
            self.enrolment.call(request)
        } else {
            self.session.call(request)
        }
    }
}
