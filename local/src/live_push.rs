//! Live push: the protocol of AppSync Events, at `/event/realtime` and `/event`.
//!
//! What this process saves goes at once to those who have subscribed. The server does not wait for a client that
//! reads too slowly: it disconnects that client.

mod hub;
mod protocol;
mod publishing;
mod socket;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use api_lambda::Auth;
use axum::Router;
use axum::routing::{get, post};
use shared::model::Timestamp;
use shared::push_sink::{Channel, PushMessage};
use shared::record::TaskChange;
use shared::task_reader::ChangeListener;
use shared::view::Renderer;

use self::hub::Hub;

/// The server of live push. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LivePush(Arc<Server>);

struct Server {
    hub: Hub,
    auth: Auth,
    renderer: Renderer,
    /// The access key id of those who may publish.
    publisher: String,
}

impl LivePush {
    /// A server whose subscribers are authorized by `auth`. A running task is stale after `stale_after`. Only requests
    /// that are signed with the access key id `publisher` may publish.
    pub(crate) fn new(auth: Auth, stale_after: Duration, publisher: &str) -> Self {
        Self(Arc::new(Server {
            hub: Hub::default(),
            auth,
            renderer: Renderer::new(stale_after),
            publisher: publisher.to_owned(),
        }))
    }

    /// Puts the routes of the protocol before `api`.
    pub(crate) fn beside(self, api: Router) -> Router {
        Router::new()
            .route("/event/realtime", get(socket::connect))
            .route("/event", post(publishing::publish))
            .with_state(self)
            .fallback_service(api)
    }
}

impl ChangeListener for LivePush {
    fn saved(&self, changes: &[&TaskChange], now: Timestamp) {
        let Server { hub, renderer, .. } = &*self.0;
        for change in changes.iter().flat_map(|change| &change.heads) {
            let head = &change.next;
            if hub.has_subscribers(&Channel::Tasks) {
                hub.send(&PushMessage::for_lists(head, *renderer, now));
            }
            if hub.has_subscribers(&Channel::of_task(&head.task.task_id)) {
                hub.send(&PushMessage::for_task(head, *renderer, now));
            }
        }
    }
}
