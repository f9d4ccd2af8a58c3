//! The port: what the service needs of the tenants' hubs.

use std::future::Future;

use messages::twin::{
    JobName, JobReply, JobRequest, MethodReply, MethodRequest, PatchRequest, QueryReply,
    QueryRequest, SetRequest, TwinDocument,
};
use messages::{DeviceId, ModuleId, TenantId};

use crate::TwinError;

/// Whose twin, or whose method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The tenant, in whose hub it is.
    pub tenant: &'a TenantId,
    /// The device.
    pub device: &'a DeviceId,
    /// The module of the device, if it is about one.
    pub module: Option<&'a ModuleId>,
}

/// Reads and edits twins, and calls methods, of a tenant's own devices.
///
/// What is not the tenant's own is [`TwinError::NotFound`], whether the hub has it or not. Every
/// call may be dropped at any time: the requester has gone.
pub trait TwinHub: Send + Sync + 'static {
    /// The twin as it is now. The hub's bookkeeping may still be in it.
    fn get(&self, of: Target<'_>) -> impl Future<Output = Result<TwinDocument, TwinError>> + Send;

    /// Replaces the desired properties and leaves the tags; returns the twin afterwards. With an
    /// `etag` only if the twin still has it, else [`TwinError::Conflict`].
    fn set(
        &self,
        of: Target<'_>,
        edit: SetRequest,
    ) -> impl Future<Output = Result<TwinDocument, TwinError>> + Send;

    /// Merges into desired properties and tags; returns the twin afterwards. `etag` as for
    /// [`TwinHub::set`].
    fn patch(
        &self,
        of: Target<'_>,
        edit: PatchRequest,
    ) -> impl Future<Output = Result<TwinDocument, TwinError>> + Send;

    /// Calls a method, once, and waits for the answer as long as the request says.
    fn method(
        &self,
        of: Target<'_>,
        call: MethodRequest,
    ) -> impl Future<Output = Result<MethodReply, TwinError>> + Send;

    /// A page of the tenant's twins for which the condition holds. `longest` is the length of the
    /// longest reply, in bytes.
    fn query(
        &self,
        tenant: &TenantId,
        query: QueryRequest,
        longest: usize,
    ) -> impl Future<Output = Result<QueryReply, TwinError>> + Send;

    /// Schedules a job for the tenant's devices for which the condition holds.
    fn create_job(
        &self,
        tenant: &TenantId,
        job: JobRequest,
    ) -> impl Future<Output = Result<JobReply, TwinError>> + Send;

    /// How far a job of the tenant is.
    fn job(
        &self,
        tenant: &TenantId,
        id: &JobName,
    ) -> impl Future<Output = Result<JobReply, TwinError>> + Send;

    /// Cancels a job of the tenant.
    fn cancel_job(
        &self,
        tenant: &TenantId,
        id: &JobName,
    ) -> impl Future<Output = Result<JobReply, TwinError>> + Send;
}
