//! A service on this machine that behaves well or badly.

use std::io::Read;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::Value;
use tiny_http::{Header, Response, Server};

/// What the service does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    Accepts,
    IsDown,
    /// It accepts the first batch and is gone then.
    DiesMidRun,
    /// It answers the first three requests with 503, and keeps what they hold all the same.
    Stumbles,
    AnswersTooManyRequests,
    Answers500,
    Answers401,
    IsSlow,
    NeverAnswers,
}

/// A request: its parameters and what it holds.
#[derive(Debug, Clone)]
pub struct Request {
    pub url: String,
    pub token: Option<String>,
    pub body: Vec<u8>,
    pub records: Vec<Value>,
}

#[derive(Clone)]
pub struct Service {
    pub url: String,
    pub requests: Arc<Mutex<Vec<Request>>>,
}

impl Service {
    pub fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
        };
        match behavior {
            Behavior::IsDown => drop(listener),
            Behavior::NeverAnswers => {
                thread::spawn(move || {
                    let connections: Vec<_> = listener.incoming().collect();
                    drop(connections);
                });
            }
            _ => {
                let server = Server::from_listener(listener, None).unwrap();
                let requests = service.requests.clone();
                thread::spawn(move || serve(&server, behavior, &requests));
            }
        }
        service
    }

    /// All records of the batches, each batch once.
    pub fn records(&self) -> Vec<Value> {
        let mut requests = self.requests.lock().unwrap().clone();
        requests.dedup_by(|second, first| second.url == first.url && second.body == first.body);
        requests
            .into_iter()
            .flat_map(|request| request.records)
            .collect()
    }

    pub fn lines(&self) -> Vec<String> {
        let records = self.records();
        let messages = records
            .iter()
            .filter_map(|record| record["message"].as_str());
        messages.map(str::to_owned).collect()
    }
}

fn serve(server: &Server, behavior: Behavior, requests: &Mutex<Vec<Request>>) {
    for (number, mut request) in server.incoming_requests().enumerate() {
        let header = |name: &'static str| {
            let header = request
                .headers()
                .iter()
                .find(|header| header.field.equiv(name));
            header.map(|header| header.value.to_string())
        };
        let token = header("authorization");
        let is_compressed = header("content-encoding").is_some_and(|value| value == "gzip");
        let mut body = Vec::new();
        request.as_reader().read_to_end(&mut body).unwrap();
        let mut text = Vec::new();
        if is_compressed {
            GzDecoder::new(body.as_slice())
                .read_to_end(&mut text)
                .unwrap();
        } else {
            text.clone_from(&body);
        }
        let lines = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let records = lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        let url = request.url().to_owned();
        requests.lock().unwrap().push(Request {
            url,
            token,
            body,
            records,
        });
        let (status, answer) = match behavior {
            Behavior::Stumbles if number < 3 => (503, ""),
            Behavior::Answers500 => (500, ""),
            Behavior::AnswersTooManyRequests => (429, ""),
            Behavior::Answers401 => (401, r#"{"title":"Unauthorized","detail":"no token"}"#),
            _ => (
                202,
                r#"{"task_id":"agent:a b","run":1,"revision":1,"lines":1,"facts":0}"#,
            ),
        };
        if behavior == Behavior::IsSlow {
            thread::sleep(Duration::from_millis(700));
        }
        let mut response = Response::from_string(answer).with_status_code(status);
        if behavior == Behavior::AnswersTooManyRequests {
            response.add_header(Header::from_bytes("retry-after", "60").unwrap());
        }
        // A client may be gone.
        drop(request.respond(response));
        if behavior == Behavior::DiesMidRun {
            return;
        }
    }
}
