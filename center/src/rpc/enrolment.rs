//! Enrolment: a join token for a certificate, once; and again for the key that used it, whose answer may have been lost.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use wire::proto::{EnrolReply, EnrolRequest, enrolment_server::Enrolment};

use crate::hub::{Hub, HubError, now};
use crate::pki::{Authority, PkiError, fingerprint};
use crate::store::{Redeemed, Store, StoreError};

/// The bytes of a token's secret.
const SECRET: usize = 32;

/// The service.
pub(crate) struct EnrolmentService<S> {
    pub(crate) hub: Arc<Hub<S>>,
}

#[tonic::async_trait]
impl<S: Store> Enrolment for EnrolmentService<S> {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let EnrolRequest { secret, request } = request.into_inner();
        if secret.len() != SECRET {
            return Err(Status::permission_denied("this is no join token"));
        }
        // A request that is no good costs no token.
        let unusable = |error: PkiError| Status::invalid_argument(format!("the request is unusable: {error}"));
        let key = Authority::requester(&request).map_err(unusable)?;
        let redeemed = self.hub.store.redeem(fingerprint(&secret), key, now()).await.map_err(failed)?;
        let (vm, done) = match redeemed {
            Redeemed::Good(vm) => (vm, "enrolled"),
            Redeemed::Again(vm) => (vm, "enrolled again by the same key and join token"),
            Redeemed::Used(vm) => return self.refuse(&vm, "the join token was used already").await,
            Redeemed::Expired(vm) => return self.refuse(&vm, "the join token has expired").await,
            Redeemed::Unknown => return Err(Status::permission_denied("nobody made this join token")),
        };
        let name = match self.hub.managed(&vm).await {
            Ok(name) => name,
            Err(HubError::Refused(reason)) => return self.refuse(&vm, &reason).await,
            Err(HubError::Store(error)) => return Err(failed(error)),
        };
        let certificate = match self.hub.authority.agent(&vm, &request) {
            Ok(certificate) => certificate,
            Err(error) => return self.refuse(&vm, &format!("the request is unusable: {error}")).await,
        };
        self.hub.store.identify(&vm, fingerprint(&certificate), now()).await.map_err(failed)?;
        self.hub.audit(&vm, done).await.map_err(failed)?;
        self.hub.enrolled(&name).await.map_err(failed)?;
        Ok(Response::new(EnrolReply { vm, certificate, authority: self.hub.authority.certificate().to_vec() }))
    }
}

impl<S: Store> EnrolmentService<S> {
    async fn refuse<T>(&self, vm: &str, reason: &str) -> Result<T, Status> {
        self.hub.alert(vm, format!("enrolment refused: {reason}")).await.map_err(failed)?;
        Err(Status::permission_denied(reason))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is a `map_err` argument")]
fn failed(error: StoreError) -> Status {
    Status::internal(error.to_string())
}
