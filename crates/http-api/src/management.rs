//! The management API: who asks, before anything else is looked at.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use messages::DeviceId;

use crate::api::{Api, Call};
use crate::claims::{caller, unauthorized};
use crate::ports::{Backend, Caller, Refusal, Wish};
use crate::reply::Reply;
use crate::route::Endpoint;

impl<B: Backend> Api<B> {
    pub(crate) async fn management(
        &self,
        endpoint: Endpoint,
        call: Call<'_>,
        headers: &HeaderMap,
        body: Body,
    ) -> Reply {
        let done = async {
            let caller = caller(headers)?;
            self.judge(&caller, endpoint, &call).await?;
            match endpoint {
                Endpoint::Integrations => self.integrations(&caller).await,
                Endpoint::CreateIntegration => self.create_integration(&caller, body).await,
                Endpoint::Integration => self.integration(&caller, &call).await,
                Endpoint::SetCredentials => self.set_credentials(&caller, &call, body).await,
                Endpoint::DeleteIntegration => self.delete_integration(&caller, &call).await,
                Endpoint::States => self.states(&caller, &call).await,
                Endpoint::State => self.state(&caller, &call).await,
                Endpoint::ReplaceState => self.replace_state(&caller, &call, headers, body).await,
                Endpoint::Events => self.events(&caller, &call).await,
                _ => Err(Reply::not_found()),
            }
        };
        done.await.unwrap_or_else(|refusal| refusal)
    }

    async fn judge(
        &self,
        caller: &Caller,
        endpoint: Endpoint,
        call: &Call<'_>,
    ) -> Result<(), Reply> {
        // An id that no device can have is of nobody; it is refused when it is looked at.
        let device = || call.part(0).parse::<DeviceId>().ok();
        let judged = match endpoint {
            Endpoint::CreateIntegration
            | Endpoint::SetCredentials
            | Endpoint::DeleteIntegration => self.backend.check(caller, Wish::Administer).await,
            Endpoint::States | Endpoint::State => match device() {
                Some(device) => self.backend.check(caller, Wish::Read(&device)).await,
                None => self.backend.check(caller, Wish::Look).await,
            },
            Endpoint::ReplaceState => match device() {
                Some(device) => self.backend.check(caller, Wish::Edit(&device)).await,
                None => self.backend.check(caller, Wish::Look).await,
            },
            _ => self.backend.check(caller, Wish::Look).await,
        };
        judged.map_err(|refusal| match refusal {
            Refusal::Unauthenticated => unauthorized("identity: the token is not valid"),
            Refusal::Forbidden => Reply::error(StatusCode::FORBIDDEN, "access denied"),
            Refusal::Undecided => {
                Reply::unavailable("whether this is allowed cannot be found out now")
            }
        })
    }
}
