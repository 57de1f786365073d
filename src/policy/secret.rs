//! Secrets by reference: the policy names where a secret is, never the secret.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The longest secret that is read, in bytes: a key with its certificate chain fits in.
const MAX_SECRET: u64 = 64 * 1024;

/// What stands in a log where a secret was.
const HIDDEN: &str = "***";

/// A secret's value, read when the policy was loaded, and perhaps once more since. It prints as `***`.
#[derive(Clone)]
pub struct Secret {
    value: String,
    reference: String,
    /// What was read later, shared by all clones.
    newer: Arc<ArcSwapOption<String>>,
}

/// Why a secret could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A replay has no stand-in for it.
    #[error("the cases file has no stand-in for the secret `{0}`")]
    NoStandIn(String),
    /// The reference has no known scheme. The text itself is not repeated: it may be a secret.
    #[error("a secret is given by reference: `env:NAME`, `file:PATH` or `cred:NAME`")]
    Literal,
    /// The environment has no such variable.
    #[error("the environment has no variable `{0}`")]
    NotInEnvironment(String),
    /// There is no such file.
    #[error("there is no file `{0}`")]
    NoFile(String),
    /// The file is there, and does not read.
    #[error("the file `{path}` does not read: {why}")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        why: String,
    },
    /// A credential's name is no bare file name.
    #[error("`{0}` is no credential's name: it is a file name without `/`")]
    CredentialName(String),
    /// The service manager handed over no credentials.
    #[error("there are no credentials: the unit needs `LoadCredential={0}:…`, which sets $CREDENTIALS_DIRECTORY")]
    NoCredentials(String),
    /// Nothing is there.
    #[error("the secret `{0}` is empty")]
    Empty(String),
    /// The value cannot go into a header or a URL.
    #[error("the secret `{0}` holds a control character or is no UTF-8; write one line of text")]
    NotText(String),
}

impl SecretError {
    /// True when nothing is there yet, and false when what is there is wrong.
    pub const fn is_absent(&self) -> bool {
        matches!(
            self,
            Self::NotInEnvironment(_) | Self::NoFile(_) | Self::NoCredentials(_) | Self::Empty(_) | Self::NoStandIn(_)
        )
    }
}

impl Secret {
    /// Reads what `env:NAME`, `file:PATH` or `cred:NAME` (a systemd credential) refers to; a newline at
    /// the end of a file is dropped.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn read(reference: &str) -> Result<Self, SecretError> {
        let value = match reference.split_once(':') {
            Some(("env", name)) => from_environment(name)?,
            Some(("file", path)) => from_file(Path::new(path), reference)?,
            Some(("cred", name)) => from_credentials(name, reference)?,
            _ => return Err(SecretError::Literal),
        };
        if value.is_empty() {
            return Err(SecretError::Empty(reference.to_owned()));
        }
        if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(SecretError::NotText(reference.to_owned()));
        }
        Ok(Self { value, reference: reference.to_owned(), newer: Arc::default() })
    }

    /// A value for a reference that is not looked up: a replay's.
    pub fn stand_in(reference: &str, value: &str) -> Self {
        Self { value: value.to_owned(), reference: reference.to_owned(), newer: Arc::default() }
    }

    /// What stands for a secret that is not there yet, in a policy that is checked and not served.
    pub fn absent(reference: &str) -> Self {
        Self { value: String::new(), reference: reference.to_owned(), newer: Arc::default() }
    }

    /// A value that may stand in the open, such as the path of a SQLite file; the caller vouches for that.
    pub fn open(value: &str) -> Self {
        Self { value: value.to_owned(), reference: value.to_owned(), newer: Arc::default() }
    }

    /// Reads it anew, for this and all its clones: true when there is another value now. One that does not
    /// read any more stays as it was. Files are read: not for the way of a dip.
    pub fn read_anew(&self) -> bool {
        match Self::read(&self.reference) {
            Ok(read) if *read.value != *self.current() => {
                self.newer.store(Some(Arc::new(read.value)));
                true
            }
            _ => false,
        }
    }

    /// The value as it was read last, for the wire only.
    pub fn current(&self) -> Arc<String> {
        self.newer.load_full().unwrap_or_else(|| Arc::new(self.value.clone()))
    }

    /// The reference it was read from, which may be shown.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The value that was read when the policy was loaded, for the wire only.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// A text with every secret's value replaced by `***`, as it is, percent-encoded, or with `+` for spaces.
    pub fn redact<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Self>) -> String {
        let mut hidden: Vec<String> = secrets.into_iter().flat_map(Self::written_forms).collect();
        // A secret that holds another one goes first, or its rest would stay.
        hidden.sort_by_key(|form| std::cmp::Reverse(form.len()));
        hidden.iter().fold(text.to_owned(), |text, form| text.replace(form, HIDDEN))
    }

    /// Every way in which a request may write the value.
    fn written_forms(&self) -> Vec<String> {
        const UNRESERVED: &percent_encoding::AsciiSet =
            &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        // As the WHATWG URL standard writes user names and passwords, queries and forms.
        const QUERY: &percent_encoding::AsciiSet =
            &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');
        let encoded = utf8_percent_encode(&self.value, UNRESERVED).to_string();
        let mut forms = vec![
            self.value.clone(),
            encoded.replace("%20", "+"),
            encoded.to_ascii_lowercase(),
            utf8_percent_encode(&self.value, NON_ALPHANUMERIC).to_string(),
            utf8_percent_encode(&self.value, QUERY).to_string(),
            encoded,
        ];
        forms.sort();
        forms.dedup();
        forms
    }
}

fn from_environment(name: &str) -> Result<String, SecretError> {
    match std::env::var(name) {
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText(format!("env:{name}"))),
        Err(std::env::VarError::NotPresent) => Err(SecretError::NotInEnvironment(name.to_owned())),
    }
}

fn from_credentials(name: &str, reference: &str) -> Result<String, SecretError> {
    if name.is_empty() || name.contains('/') || matches!(name, "." | "..") {
        return Err(SecretError::CredentialName(name.to_owned()));
    }
    let directory =
        std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| SecretError::NoCredentials(name.to_owned()))?;
    from_file(&Path::new(&directory).join(name), reference)
}

fn from_file(path: &Path, reference: &str) -> Result<String, SecretError> {
    let fails = |why: String| SecretError::File { path: path.display().to_string(), why };
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => SecretError::NoFile(path.display().to_string()),
        _ => fails(error.to_string()),
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(|error| fails(error.to_string()))?;
    if bytes.len() as u64 > MAX_SECRET {
        return Err(fails(format!("it is longer than {MAX_SECRET} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(reference.to_owned()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(value: &str) -> Secret {
        Secret { value: value.to_owned(), reference: "env:X".to_owned(), newer: Arc::default() }
    }

    #[test]
    fn a_file_loses_its_last_newline_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Secret::read(&format!("file:{}", path.display())).map(|secret| secret.expose().to_owned())
        };
        assert_eq!(read(b"abc\n").unwrap(), "abc");
        assert_eq!(read(b"abc\r\n").unwrap(), "abc");
        assert_eq!(read(b" a b ").unwrap(), " a b ");
        assert!(matches!(read(b"\n"), Err(SecretError::Empty(_))));
        assert!(matches!(read(b"\xff"), Err(SecretError::NotText(_))));
        assert!(matches!(read(b"a\0b"), Err(SecretError::NotText(_))));
        assert!(matches!(read(&vec![b'a'; 70_000]), Err(SecretError::File { .. })));
        assert!(!read(&vec![b'a'; 70_000]).unwrap_err().is_absent(), "it is there, and must be told");
        let folder = Secret::read(&format!("file:{}", directory.path().display())).unwrap_err();
        assert!(matches!(folder, SecretError::File { .. }) && !folder.is_absent(), "{folder}");
    }

    #[test]
    fn a_literal_is_refused_and_not_repeated() {
        let error = Secret::read("hunter2:x").unwrap_err();
        assert_eq!(error, SecretError::Literal);
        assert!(!error.to_string().contains("hunter2"));
        assert!(matches!(Secret::read("env:DIPCACHE_NO_SUCH_VARIABLE"), Err(SecretError::NotInEnvironment(_))));
        let nothing = Secret::read("file:/no/such/file").unwrap_err();
        assert!(matches!(nothing, SecretError::NoFile(_)) && nothing.is_absent(), "{nothing}");
        assert!(matches!(Secret::read("cred:../x"), Err(SecretError::CredentialName(_))));
        assert_eq!(Secret::read("env:PATH").unwrap().expose(), std::env::var("PATH").unwrap());
    }

    #[test]
    fn a_secret_that_was_changed_is_read_anew_by_all_its_clones() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "old\n").unwrap();
        let secret = Secret::read(&format!("file:{}", file.path().display())).unwrap();
        let clone = secret.clone();
        assert!(!secret.read_anew());
        std::fs::write(file.path(), "new\n").unwrap();
        assert!(secret.read_anew() && !clone.read_anew());
        assert_eq!((clone.current().as_str(), clone.expose()), ("new", "old"));
        std::fs::write(file.path(), "").unwrap();
        assert!(!secret.read_anew());
        assert_eq!(secret.current().as_str(), "new", "nothing is no secret");
    }

    #[test]
    fn it_never_prints() {
        assert_eq!(format!("{:?}", secret("hunter2")), "***");
    }

    #[test]
    fn every_written_form_is_redacted() {
        let (long, short) = (secret("p+ä/ss w"), secret("p+"));
        let text =
            "/a/p+ä/ss w?k=p%2B%C3%A4%2Fss%20w&l=p%2b%c3%a4%2fss%20w&m=p%2B%C3%A4%2Fss+w&n=p+%C3%A4/ss%20w&o=p%2B";
        assert_eq!(Secret::redact(text, [&short, &long]), "/a/***?k=***&l=***&m=***&n=***&o=***");
    }
}
