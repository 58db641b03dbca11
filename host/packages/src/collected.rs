//! What is on disk of a package that is not whole yet.

use std::io;
use std::path::{Path, PathBuf};

use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use tokio::fs::{self, File};

/// What is here of a package.
pub(crate) struct Collected {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// How the version is named that this is of; without it nothing can be added to it.
    pub(crate) tag: Option<HeaderValue>,
}

/// Who names the versions of what is fetched.
#[derive(Clone, Copy)]
pub(crate) enum Versions<'a> {
    /// The server, if it wants to.
    Tagged,
    /// Whoever asks: this is the digest of the content, of which all parts fit together.
    Named(&'a HeaderValue),
}

impl Collected {
    /// What an earlier attempt left, also of a server that has ended since.
    pub(crate) async fn at(path: &Path) -> io::Result<Collected> {
        let mut whole = Collected { path: path.to_owned(), bytes: 0, tag: None };
        let tag = fs::read(whole.tag_path()).await.ok();
        whole.tag = tag.and_then(|tag| HeaderValue::from_bytes(&tag).ok());
        match fs::metadata(path).await {
            Ok(about) if whole.tag.is_some() => whole.bytes = about.len(),
            Ok(_) | Err(_) => whole.forget().await?,
        }
        Ok(whole)
    }

    fn tag_path(&self) -> PathBuf {
        self.path.with_extension("tag")
    }

    /// Keeps what is here only if it is of this version.
    pub(crate) async fn keep_only(&mut self, version: &HeaderValue) -> io::Result<()> {
        if self.tag.as_ref() == Some(version) { Ok(()) } else { self.forget().await }
    }

    /// What asks for the part that is missing.
    pub(crate) fn rest(&self, versions: Versions) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let (Some(tag), true) = (&self.tag, self.bytes > 0)
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.bytes))
        {
            headers.insert(RANGE, range);
            if let Versions::Tagged = versions {
                headers.insert(IF_RANGE, tag.clone());
            }
        }
        headers
    }

    /// True if a part begins where this ends.
    pub(crate) fn goes_on_with(&self, part: &Response) -> bool {
        let range = part.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let begin = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
        begin == Some(self.bytes)
    }

    /// Begins anew, with what a server sends that tags it so.
    pub(crate) async fn begin(&mut self, tag: Option<HeaderValue>, versions: Versions<'_>) -> io::Result<()> {
        self.forget().await?;
        File::create(&self.path).await?;
        self.tag = match versions {
            // A weak one names what means the same, not what is the same (RFC 9110, 13.1.5).
            Versions::Tagged => tag.filter(|tag| !tag.as_bytes().starts_with(b"W/")),
            Versions::Named(digest) => Some(digest.clone()),
        };
        if let Some(tag) = &self.tag {
            fs::write(self.tag_path(), tag.as_bytes()).await?;
        }
        Ok(())
    }

    pub(crate) async fn forget(&mut self) -> io::Result<()> {
        self.bytes = 0;
        remove(&self.path).await?;
        self.forget_tag().await
    }

    pub(crate) async fn forget_tag(&mut self) -> io::Result<()> {
        self.tag = None;
        remove(&self.tag_path()).await
    }
}

async fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
