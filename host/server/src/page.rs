//! The page at `/`: plain files in the binary, without a build of their own, that speak the API like anybody else.
//!
//! Nothing of it comes from elsewhere and nothing in it is markup from the server: the policy that goes with every
//! file lets a browser run these scripts, load from this server, and do nothing more.

use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// One file of the page.
struct File {
    path: &'static str,
    media: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! file {
    ($path:literal, $name:literal, $media:expr) => {
        File { path: $path, media: $media, text: include_str!(concat!("../page/", $name)) }
    };
}

static FILES: [File; 13] = [
    file!("/", "index.html", HTML),
    file!("/page/style.css", "style.css", CSS),
    file!("/page/icon.svg", "icon.svg", IMAGE),
    file!("/page/main.js", "main.js", SCRIPT),
    file!("/page/api.js", "api.js", SCRIPT),
    file!("/page/dom.js", "dom.js", SCRIPT),
    file!("/page/grid.js", "grid.js", SCRIPT),
    file!("/page/host.js", "host.js", SCRIPT),
    file!("/page/lines.js", "lines.js", SCRIPT),
    file!("/page/model.js", "model.js", SCRIPT),
    file!("/page/panels.js", "panels.js", SCRIPT),
    file!("/page/plugins.js", "plugins.js", SCRIPT),
    file!("/page/time.js", "time.js", SCRIPT),
];

/// What goes with every file. Scripts and styles in the markup, other origins, frames round the page and texts that are
/// made markup are refused by the browser; a file is asked for again each time, and mostly answered with its tag.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-cache"),
];

/// One tag for all files: they belong together, and change only with the binary.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for file in &FILES {
        hash.update(file.path);
        hash.update(file.text);
    }
    let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digest}\"")
});

/// The routes of the page.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(async |headers: HeaderMap| answer(file, &headers)))
    })
}

fn answer(file: &File, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let mut response = if known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == *TAG)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.media)], file.text).into_response()
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&TAG) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let there: BTreeSet<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let served = FILES.iter().map(|file| file.path.rsplit('/').next().filter(|name| !name.is_empty()));
        assert_eq!(there, served.map(|name| name.unwrap_or("index.html").to_owned()).collect());
    }

    #[test]
    fn nothing_in_the_page_is_refused_by_its_own_policy() {
        for file in &FILES {
            for never in
                ["<script>", " style=\"", " onclick=", "innerHTML", "outerHTML", "insertAdjacentHTML"]
            {
                assert!(!file.text.contains(never), "{}: {never}", file.path);
            }
            let elsewhere = file.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("://"), "{} names another origin", file.path);
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let check = |tags: &str, status: StatusCode| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, tags.parse().unwrap());
            let response = answer(&FILES[0], &headers);
            assert_eq!(response.status(), status, "{tags}");
            assert_eq!(response.headers()[header::ETAG], *TAG);
        };
        check(&TAG, StatusCode::NOT_MODIFIED);
        check(&format!("\"other\", {}", *TAG), StatusCode::NOT_MODIFIED);
        check("\"other\"", StatusCode::OK);
    }
}
