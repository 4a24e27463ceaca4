//! The subscribers of each channel.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::push_sink::{Channel, PushMessage};
use tokio::sync::{Notify, mpsc};

/// The most messages that wait for one connection. The hub disconnects a client whose queue is full.
const MOST_WAITING: usize = 512;

/// The subscribers of all channels.
#[derive(Default)]
pub(super) struct Hub {
    channels: Mutex<HashMap<Channel, Vec<Subscriber>>>,
    connections: AtomicU64,
}

/// A message for one subscription.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// The subscription, as a JSON text.
    pub(super) subscription: Arc<str>,
    /// The message, as a JSON text whose content is JSON.
    pub(super) event: Arc<str>,
}

/// What the hub knows of a connection.
#[derive(Clone)]
pub(super) struct Connection {
    number: u64,
    queue: mpsc::Sender<Delivery>,
    too_slow: Arc<Notify>,
}

/// The connection's own side.
pub(super) struct Deliveries {
    /// The messages that the connection must send.
    pub(super) queue: mpsc::Receiver<Delivery>,
    /// The hub notifies it when the queue was full.
    pub(super) too_slow: Arc<Notify>,
}

struct Subscriber {
    connection: Connection,
    subscription: Arc<str>,
}

impl Hub {
    /// Makes a connection without subscriptions.
    pub(super) fn connect(&self) -> (Connection, Deliveries) {
        let (sender, queue) = mpsc::channel(MOST_WAITING);
        let too_slow = Arc::new(Notify::new());
        let connection = Connection {
            number: self.connections.fetch_add(1, Ordering::Relaxed),
            queue: sender,
            too_slow: too_slow.clone(),
        };
        (connection, Deliveries { queue, too_slow })
    }

    pub(super) fn subscribe(
        &self,
        connection: &Connection,
        channel: &Channel,
        subscription: Arc<str>,
    ) {
        let subscriber = Subscriber {
            connection: connection.clone(),
            subscription,
        };
        let mut channels = self.channels();
        channels
            .entry(channel.clone())
            .or_default()
            .push(subscriber);
    }

    pub(super) fn unsubscribe(
        &self,
        connection: &Connection,
        channel: &Channel,
        subscription: &str,
    ) {
        self.retain(channel, |subscriber| {
            subscriber.connection.number != connection.number
                || &*subscriber.subscription != subscription
        });
    }

    pub(super) fn has_subscribers(&self, channel: &Channel) -> bool {
        self.channels().contains_key(channel)
    }

    /// Sends a message to all subscribers of its channel.
    pub(super) fn send(&self, message: &PushMessage) {
        let event = serde_json::Value::from(message.event.as_str()).to_string();
        let event: Arc<str> = event.into();
        self.retain(&message.channel, |subscriber| {
            let delivery = Delivery {
                subscription: subscriber.subscription.clone(),
                event: event.clone(),
            };
            let sent = subscriber.connection.queue.try_send(delivery);
            if sent.is_err() {
                subscriber.connection.too_slow.notify_one();
            }
            sent.is_ok()
        });
    }

    /// Keeps the subscribers of a channel for whom `is_kept` holds.
    fn retain(&self, channel: &Channel, is_kept: impl FnMut(&Subscriber) -> bool) {
        let mut channels = self.channels();
        if let Some(subscribers) = channels.get_mut(channel) {
            subscribers.retain(is_kept);
            if subscribers.is_empty() {
                channels.remove(channel);
            }
        }
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<Channel, Vec<Subscriber>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str) -> PushMessage {
        PushMessage {
            channel: Channel::Tasks,
            event: event.to_owned(),
        }
    }

    #[test]
    fn a_message_reaches_each_subscription_of_its_channel() {
        let hub = Hub::default();
        let (connection, mut deliveries) = hub.connect();
        assert!(!hub.has_subscribers(&Channel::Tasks));
        for subscription in ["a", "b"] {
            hub.subscribe(&connection, &Channel::Tasks, subscription.into());
        }
        let other = Channel::of_task(&"t".parse().unwrap());
        hub.subscribe(&connection, &other, "c".into());
        hub.send(&message(r#"{"a":1}"#));
        hub.unsubscribe(&connection, &Channel::Tasks, "a");
        hub.send(&message("2"));
        let mut sent = Vec::new();
        while let Ok(delivery) = deliveries.queue.try_recv() {
            sent.push(format!("{} {}", delivery.subscription, delivery.event));
        }
        assert_eq!(sent, [r#"a "{\"a\":1}""#, r#"b "{\"a\":1}""#, r#"b "2""#]);
        hub.unsubscribe(&connection, &Channel::Tasks, "b");
        assert!(!hub.has_subscribers(&Channel::Tasks));
    }

    #[tokio::test]
    async fn who_does_not_read_is_disconnected_and_delays_nobody() {
        let hub = Hub::default();
        let (slow, slow_deliveries) = hub.connect();
        let (quick, mut quick_deliveries) = hub.connect();
        for connection in [&slow, &quick] {
            hub.subscribe(connection, &Channel::Tasks, "1".into());
        }
        for number in 0..2 * MOST_WAITING {
            hub.send(&message(&number.to_string()));
            let delivery = quick_deliveries.queue.try_recv().unwrap();
            assert_eq!(&*delivery.event, format!("\"{number}\""));
        }
        slow_deliveries.too_slow.notified().await;
        assert_eq!(slow_deliveries.queue.len(), MOST_WAITING);
        drop((quick_deliveries, quick));
        hub.send(&message("x"));
        assert!(!hub.has_subscribers(&Channel::Tasks));
    }
}
