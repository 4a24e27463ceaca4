//! Web pages of other origins and other programs can use neither the API nor the embedded DynamoDB.

use std::collections::HashSet;
use std::fs;
use std::net::TcpStream;

use crate::program::{Running, exchange, program};

/// The status code of a response.
fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap()
}

/// A request to DynamoDB, signed with this access key id.
pub(crate) fn dynamodb_request(access_key_id: &str, headers: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={access_key_id}/20251115/us-east-1/dynamodb/\
         aws4_request, SignedHeaders=host, Signature=00\r\n{headers}Content-Length: 2\r\n\r\n{{}}"
    )
}

#[test]
fn the_api_refuses_foreign_hosts_and_foreign_origins() {
    let program = Running::serve(&["--no-redis", "--allow-host", "proxy.test"]);
    let address = program.address("Miyabi Progress");
    let get = |target: &str, headers: &str| {
        let request = format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        let response = exchange(&address, &request);
        assert!(!response.contains("access-control-"), "{response}");
        status(&response).to_owned()
    };
    for host in ["localhost", &address, "proxy.test", "[::1]:9000"] {
        let headers = format!("Host: {host}\r\n");
        assert_eq!(get("/api/tasks", &headers), "200", "{host}");
        assert_eq!(get("/", &headers), "200", "{host}");
    }
    for host in ["evil.test", "localhost.", "0.0.0.0", "192.168.1.7"] {
        let headers = format!("Host: {host}\r\n");
        assert_eq!(get("/api/tasks", &headers), "403", "{host}");
        assert_eq!(get("/", &headers), "403", "{host}");
    }
    assert_eq!(
        get("http://evil.test/api/tasks", "Host: localhost\r\n"),
        "403"
    );

    let own = format!("http://{address}");
    for origin in [own.as_str(), "https://proxy.test"] {
        let headers = format!("Host: {address}\r\nOrigin: {origin}\r\n");
        assert_eq!(get("/api/tasks", &headers), "200", "{origin}");
    }
    for origin in [
        "http://localhost:3000",
        "https://evil.test",
        "null",
        "file://",
    ] {
        let headers = format!("Host: {address}\r\nOrigin: {origin}\r\n");
        assert_eq!(get("/api/tasks", &headers), "403", "{origin}");
    }
    let without_host = exchange(&address, "GET /api/tasks HTTP/1.0\r\n\r\n");
    assert_eq!(status(&without_host), "403", "{without_host}");
}

#[test]
fn the_api_answers_writes_and_preflights_of_allowed_origins_alone() {
    let mut command = program(&["serve", "--port", "0", "--no-redis"]);
    command.env("CORS_ALLOWED_ORIGINS", "https://good.test");
    let program = Running::spawn(command, "End");
    let address = program.address("Miyabi Progress");
    let send = |method: &str, path: &str, origin: &str, body: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: POST\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(&address, &request)
    };
    let own = format!("http://{address}");
    for (task_id, origin, expected) in [
        ("own", own.as_str(), "201"),
        ("good", "https://good.test", "201"),
        ("evil", "https://evil.test", "403"),
    ] {
        let body = format!(r#"{{"task_id":"{task_id}","task_name":"a","task_type":"build"}}"#);
        let response = send("POST", "/api/tasks", origin, &body);
        assert_eq!(status(&response), expected, "{response}");
        let is_readable = response.contains("access-control-allow-origin: https://good.test");
        assert_eq!(is_readable, task_id == "good", "{response}");
    }
    assert_eq!(program.get("/api/tasks/good")["task_id"], "good");
    let task = program.ask("/api/tasks/evil", "");
    assert_eq!(status(&task), "404", "{task}");

    let allowed = send("OPTIONS", "/api/tasks", "https://good.test", "");
    assert_eq!(status(&allowed), "200", "{allowed}");
    assert!(
        allowed.contains("access-control-allow-methods"),
        "{allowed}"
    );
    for origin in ["https://evil.test", "null"] {
        let refused = send("OPTIONS", "/api/tasks", origin, "");
        assert_eq!(status(&refused), "403", "{refused}");
        assert!(!refused.contains("access-control-allow"), "{refused}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_embedded_dynamodb_of_serve_answers_no_other_program() {
    let program = Running::serve(&["--no-redis"]);
    let api = program.address("Miyabi Progress");
    let addresses = listening_addresses(program.process_id());
    assert!(addresses.contains(&api), "{addresses:?}");
    assert_eq!(addresses.len(), 2, "the API and DynamoDB: {addresses:?}");
    assert!(
        addresses
            .iter()
            .all(|address| address.starts_with("127.0.0.1:"))
    );
    let address = addresses.iter().find(|address| **address != api).unwrap();
    let unsigned = dynamodb_request("", "").replace("Authorization", "X-Nothing");
    let get = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned();
    for request in [
        dynamodb_request("local", ""),
        dynamodb_request("", ""),
        dynamodb_request("local", "Origin: https://evil.test\r\n"),
        dynamodb_request("local", "").replacen("POST /", "OPTIONS /", 1),
        dynamodb_request("local", "").replacen("POST /", "POST /shell/", 1),
        get.replacen("GET /", "GET /health", 1),
        get,
        unsigned,
    ] {
        let response = exchange(address, &request);
        assert_eq!(status(&response), "403", "{request}\n{response}");
        assert!(!response.contains("access-control-"), "{response}");
    }
}

/// The IPv4 addresses that a process listens on.
#[cfg(target_os = "linux")]
fn listening_addresses(process_id: u32) -> HashSet<String> {
    const LISTEN: &str = "0A";
    let descriptors = fs::read_dir(format!("/proc/{process_id}/fd")).unwrap();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let links: HashSet<_> = links
        .map(|link| link.to_string_lossy().into_owned())
        .collect();
    let table = fs::read_to_string(format!("/proc/{process_id}/net/tcp")).unwrap();
    let rows = table.lines().skip(1).filter_map(|row| {
        let columns: Vec<_> = row.split_whitespace().collect();
        let (address, state, inode) = (columns[1], columns[3], columns[9]);
        (state == LISTEN && links.contains(&format!("socket:[{inode}]"))).then_some(address)
    });
    let addresses = rows.map(|address| {
        let (ip, port) = address.split_once(':').unwrap();
        let ip = u32::from_str_radix(ip, 16).unwrap().to_ne_bytes();
        let port = u16::from_str_radix(port, 16).unwrap();
        std::net::SocketAddr::from((ip, port)).to_string()
    });
    addresses.collect()
}

#[test]
fn the_redis_of_serve_needs_a_password() {
    let program = Running::serve(&[]);
    let redis = program.address("Redis");
    assert!(TcpStream::connect(&redis).is_ok());
    let response = exchange(&redis, "KEYS *\r\nQUIT\r\n");
    assert!(response.starts_with("-NOAUTH"), "{response}");
}
