//! The page's files, each compressed once.
//!
//! The server compresses them when it starts, because any directory can be given, with files from
//! any source. A request compresses nothing, so it costs only the reading of a file. A file that
//! has changed since the start has a different entity tag. The server sends it uncompressed.

use core::str;
use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::task::spawn_blocking;
use tower_http::services::ServeDir;
use tracing::debug;

/// Size limit of a file that is compressed, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;
/// Limit for the bytes of all compressed files together.
const ALL: usize = 16 * 1024 * 1024;
/// Limits for the number of files that are read, and for the depth in the directory.
const FILES: usize = 1_000;
const LEVELS: usize = 8;

/// The files of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    files: ServeDir,
    /// The compressed files by the path of a request.
    compressed: Arc<HashMap<String, Compressed>>,
}

/// A file as it was when the server started.
#[derive(Debug)]
struct Compressed {
    /// The file's entity tag, which depends on its size and the time of its last change.
    tag: HeaderValue,
    bytes: Bytes,
}

impl Page {
    /// Reads and compresses the files in a directory. A file stays uncompressed if it is too large,
    /// cannot be read or becomes little smaller, as do all files after the first 1,000.
    pub(crate) async fn load(directory: &Path) -> Self {
        let files = ServeDir::new(directory);
        let root = directory.to_owned();
        let paths = spawn_blocking(move || {
            let mut paths = Vec::new();
            find(&root, "", LEVELS, &mut paths);
            paths
        });
        let mut room = ALL;
        let mut compressed = HashMap::new();
        for path in paths.await.unwrap_or_default() {
            if let Some(file) = compress(&files, &path).await
                && let Some(rest) = room.checked_sub(file.bytes.len())
            {
                room = rest;
                compressed.insert(path, file);
            }
        }
        debug!(
            files = compressed.len(),
            bytes = ALL - room,
            "compressed the page"
        );
        Self {
            files,
            compressed: Arc::new(compressed),
        }
    }

    async fn answer(mut self, request: Request) -> Response {
        let path = request.uri().path();
        let file = if path.ends_with('/') {
            self.compressed.get(&format!("{path}index.html"))
        } else {
            self.compressed.get(path)
        };
        let takes_gzip = takes_gzip(request.headers());
        let directory = directory(request.uri());
        let mut response = match self.files.try_call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => return unreadable(&error).into_response(),
        };
        if let Some(location) = response.headers_mut().get_mut(header::LOCATION) {
            *location = directory;
        }
        let Some(file) = file else {
            return response;
        };
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        let is_unchanged = headers.get(header::ETAG) == Some(&file.tag);
        if !takes_gzip || !is_unchanged || response.status() != StatusCode::OK {
            return response;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::CONTENT_LENGTH, file.bytes.len().into());
        // Ranges refer to the uncompressed file, and a strong tag promises the same bytes.
        headers.remove(header::ACCEPT_RANGES);
        if let Ok(weak) = HeaderValue::try_from([b"W/", file.tag.as_bytes()].concat()) {
            headers.insert(header::ETAG, weak);
        }
        response.map(|_| Body::from(file.bytes.clone()))
    }
}

/// Returns the location of a directory, relative to a request without the slash at the end. The
/// path of the request would not work: `//name` would be a host, and a proxy may have removed a
/// prefix.
fn directory(uri: &Uri) -> HeaderValue {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::try_from(format!("./{name}/{query}")).unwrap_or(HeaderValue::from_static("/"))
}

fn unreadable(error: &io::Error) -> StatusCode {
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::NotADirectory
        | ErrorKind::InvalidFilename => StatusCode::NOT_FOUND,
        _ => {
            debug!(%error, "cannot read a file of the page");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// Answers with a file.
pub(super) async fn serve(State(page): State<Page>, request: Request) -> Response {
    page.answer(request).await
}

/// Finds the files in a directory, as the paths of requests for them.
fn find(directory: &Path, path: &str, levels: usize, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        // Other names have more than one spelling in a request.
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        let Some(name) = name.to_str().filter(|name| name.bytes().all(plain)) else {
            continue;
        };
        let (place, path) = (entry.path(), format!("{path}/{name}"));
        if found.len() == FILES {
            return;
        }
        if place.is_file() {
            found.push(path);
        } else if levels > 1 && place.is_dir() {
            find(&place, &path, levels - 1, found);
        }
    }
}

/// Compresses a file. The service that serves the file also reads it here, so its tag and its bytes
/// belong to the same moment.
async fn compress(files: &ServeDir, path: &str) -> Option<Compressed> {
    let request = Request::get(path).body(Body::empty()).ok()?;
    let response = files.clone().try_call(request).await.ok()?;
    let tag = response.headers().get(header::ETAG)?.clone();
    let plain = to_bytes(Body::new(response.into_body()), LARGEST).await.ok()?;
    let bytes = spawn_blocking(move || gzip(&plain)).await.ok()??;
    Some(Compressed { tag, bytes })
}

/// Compresses the bytes. Returns `None` unless they become at least a tenth smaller.
fn gzip(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    let bytes = encoder.finish().ok()?;
    (bytes.len() < plain.len() - plain.len() / 10).then(|| bytes.into())
}

/// Returns `true` if the client accepts gzip (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings
        .map(|coding| coding.split(';').map(str::trim))
        .any(|mut coding| {
            let is_gzip = coding
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let weight = coding.find_map(|parameter| parameter.strip_prefix("q="));
            is_gzip && weight.is_none_or(|weight| weight.parse().is_ok_and(|weight: f32| weight > 0.0))
        })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::http::Method;
    use flate2::read::GzDecoder;
    use tempfile::TempDir;

    use super::*;

    async fn ask(page: &Page, path: &str, headers: &[(header::HeaderName, &str)]) -> (Response<()>, Bytes) {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let answer = page.clone().answer(request.body(Body::empty()).unwrap()).await;
        let (head, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (Response::from_parts(head, ()), body)
    }

    fn unpacked(bytes: &[u8]) -> String {
        let mut text = String::new();
        GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        text
    }

    fn text(response: &Response<()>, name: header::HeaderName) -> Option<&str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    const GZIP: (header::HeaderName, &str) = (header::ACCEPT_ENCODING, "br, gzip;q=0.8");

    #[tokio::test]
    async fn who_takes_gzip_gets_the_same_bytes_each_time() {
        let www = TempDir::new().unwrap();
        fs::create_dir(www.path().join("pkg")).unwrap();
        let script = "let x = 1;\n".repeat(500);
        fs::write(www.path().join("pkg/app.js"), &script).unwrap();
        fs::write(www.path().join("index.html"), "<p>".repeat(500)).unwrap();
        let noise: Vec<u8> = (0..5_000).map(|_| rand::random()).collect();
        fs::write(www.path().join("noise.bin"), &noise).unwrap();
        let page = Page::load(www.path()).await;
        assert_eq!(page.compressed.len(), 2, "what becomes no smaller is not kept");

        let (plain, body) = ask(&page, "/pkg/app.js", &[]).await;
        assert_eq!(body, script);
        assert_eq!(text(&plain, header::CONTENT_ENCODING), None);
        assert_eq!(text(&plain, header::VARY), Some("accept-encoding"));
        let (first, packed) = ask(&page, "/pkg/app.js", &[GZIP]).await;
        assert_eq!(text(&first, header::CONTENT_ENCODING), Some("gzip"));
        assert_eq!(text(&first, header::CONTENT_TYPE), Some("text/javascript"));
        assert_eq!(
            text(&first, header::CONTENT_LENGTH),
            Some(&*packed.len().to_string())
        );
        assert_eq!(unpacked(&packed), script);
        let (_, again) = ask(&page, "/pkg/app.js", &[GZIP]).await;
        assert_eq!(packed.as_ptr(), again.as_ptr(), "they lie in memory, once");
        let (root, packed) = ask(&page, "/", &[GZIP]).await;
        assert_eq!(text(&root, header::CONTENT_TYPE), Some("text/html"));
        assert!(unpacked(&packed).starts_with("<p>"));
        let (_, body) = ask(&page, "/noise.bin", &[GZIP]).await;
        assert_eq!(body, noise);
        let long = format!("/{}", "n".repeat(5_000));
        for none in ["/none", "/pkg/app.js/more", "/../index.html", &long] {
            let (missing, _) = ask(&page, none, &[GZIP]).await;
            assert_eq!(missing.status(), StatusCode::NOT_FOUND, "{none}");
        }
    }

    #[tokio::test]
    async fn caches_ask_again_and_parts_are_of_the_plain_file() {
        let www = TempDir::new().unwrap();
        fs::write(www.path().join("index.html"), "x".repeat(5_000)).unwrap();
        let page = Page::load(www.path()).await;
        let (plain, _) = ask(&page, "/index.html", &[]).await;
        let (packed, _) = ask(&page, "/index.html", &[GZIP]).await;
        for tag in [plain, packed].map(|response| response.headers()[header::ETAG].clone()) {
            let known = (header::IF_NONE_MATCH, tag.to_str().unwrap());
            let (same, body) = ask(&page, "/index.html", &[GZIP, known]).await;
            assert_eq!(same.status(), StatusCode::NOT_MODIFIED, "{tag:?}");
            assert!(body.is_empty());
        }
        let (part, body) = ask(&page, "/index.html", &[GZIP, (header::RANGE, "bytes=0-9")]).await;
        assert_eq!(
            (part.status(), &*body),
            (StatusCode::PARTIAL_CONTENT, &b"xxxxxxxxxx"[..])
        );
        assert_eq!(text(&part, header::CONTENT_ENCODING), None);

        let request = Request::builder().method(Method::HEAD).uri("/index.html");
        let request = request.header(GZIP.0, GZIP.1).body(Body::empty()).unwrap();
        let head = page.clone().answer(request).await;
        assert_eq!(head.headers()[header::CONTENT_ENCODING], "gzip");
    }

    #[tokio::test]
    async fn a_directory_is_named_beside_the_request_and_never_a_host() {
        let www = TempDir::new().unwrap();
        fs::create_dir(www.path().join("pkg")).unwrap();
        let page = Page::load(www.path()).await;
        for path in [
            "/pkg",
            "//pkg",
            "///pkg",
            "//pkg?x=//y",
            "/.//pkg",
            "//evil.example//pkg",
        ] {
            let (answer, _) = ask(&page, path, &[]).await;
            let Some(location) = text(&answer, header::LOCATION) else {
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
                continue;
            };
            let query = path.split_once('?').map_or("", |(_, query)| query);
            let location = location.trim_end_matches(query).trim_end_matches('?');
            assert_eq!(location, "./pkg/", "{path}");
        }
        let (answer, _) = ask(&page, "//pkg", &[]).await;
        assert!(answer.status().is_redirection());
    }

    #[tokio::test]
    async fn a_file_that_was_changed_is_not_served_as_it_was() {
        let www = TempDir::new().unwrap();
        let file = www.path().join("index.html");
        fs::write(&file, "old ".repeat(1_000)).unwrap();
        let page = Page::load(www.path()).await;
        // The text has the same length and is written less than a second later.
        fs::write(&file, "new ".repeat(1_000)).unwrap();
        let (response, body) = ask(&page, "/", &[GZIP]).await;
        assert_eq!(text(&response, header::CONTENT_ENCODING), None);
        assert!(body.starts_with(b"new "));
    }

    #[test]
    fn only_those_who_say_so_take_gzip() {
        let takes = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            takes_gzip(&headers)
        };
        for yes in [
            "gzip",
            "GZIP",
            "br,gzip",
            "deflate, gzip;q=1.0, *;q=0.5",
            "gzip ; q=0.001",
        ] {
            assert!(takes(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip; q=0.0", "gzip;q=x", "x-gzip2", "*"] {
            assert!(!takes(no), "{no}");
        }
    }
}
