//! Who may use the management API.

use async_nats::HeaderMap;
use http_api::ports::{Caller, Refusal, Users, Wish};
use twin::{Access as _, Asked, TwinError, Verb};

use super::IotManagerPort;
use crate::config::Trust;

impl Users for IotManagerPort {
    /// Where the worker verifies, by the same rules as for twin requests: to look at what is the
    /// tenant's needs Read on all devices, to change it Admin.
    async fn check(&self, caller: &Caller, wish: Wish<'_>) -> Result<(), Refusal> {
        if self.0.settings.management_trust != Trust::Verify {
            return Ok(());
        }
        let (verb, device) = match wish {
            Wish::Look => (Verb::Query, None),
            Wish::Administer => (Verb::JobCreate, None),
            Wish::Read(device) => (Verb::Get, Some(device)),
            Wish::Edit(device) => (Verb::Set, Some(device)),
        };
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", caller.token.as_str());
        let value = bearer.parse::<async_nats::HeaderValue>();
        headers.insert(
            "Authorization",
            value.map_err(|_| Refusal::Unauthenticated)?,
        );
        let asked = Asked {
            verb,
            tenant: &caller.tenant,
            device,
            module: None,
            headers: Some(&headers),
        };
        match self.0.access.check(asked).await {
            Ok(_) => Ok(()),
            Err(denied) => Err(match denied.error {
                TwinError::Forbidden => Refusal::Forbidden,
                TwinError::Undecided => Refusal::Undecided,
                _ => Refusal::Unauthenticated,
            }),
        }
    }
}
