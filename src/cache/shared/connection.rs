//! One connection: memcache-async's protocol over a guarded stream. The only file that names the library.

use std::collections::HashMap;
use std::io::ErrorKind;

use memcache_async::ascii::Protocol;
use tokio::net::TcpStream;

use crate::cache::shared::guard::{Expected, Guarded};

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command<'a> {
    /// Values of these keys.
    Get(&'a [String]),
    /// One value with its version number.
    Gets(&'a str),
    /// Writes where nothing is.
    Add(&'a Write),
    /// Writes where this version is.
    Cas(&'a Write, u64),
    /// Writes and deletes, then asks whether all went well.
    Write(&'a [Write]),
}

/// One thing to write.
#[derive(Clone, Debug)]
pub(super) struct Write {
    /// Where; a legal key.
    pub key: String,
    /// What; `None` deletes.
    pub value: Option<Vec<u8>>,
    /// For how long, in seconds; zero is for ever.
    pub life: u32,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Reply {
    /// The values that were there.
    Values(HashMap<String, Vec<u8>>),
    /// The value and its version number.
    Value(Option<(Vec<u8>, u64)>),
    /// Whether it was written.
    Written(bool),
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The breaker is open: nothing was sent.
    #[error("it is down, and was not asked")]
    Open,
    /// Not in time. The connection is closed.
    #[error("no answer in time")]
    Timeout,
    /// No connection.
    #[error("no connection")]
    Connect,
    /// The connection ended.
    #[error("the connection ended")]
    Closed,
    /// What came is no answer to what was asked.
    #[error("the answer makes no sense")]
    Garbage,
    /// The server says that it cannot.
    #[error("the server refuses")]
    Refused,
    /// What the server holds may be of yesterday.
    #[error("its generation is not known yet")]
    Generation,
    /// The queue of writes is full.
    #[error("too much is waiting to be written")]
    Full,
}

impl Fault {
    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Garbage => "garbage",
            Self::Refused => "refused",
            Self::Generation => "generation",
            Self::Full => "full",
        }
    }

    /// True when it speaks against the server: a sample for its breaker.
    pub(super) const fn is_theirs(self) -> bool {
        matches!(self, Self::Timeout | Self::Connect | Self::Closed | Self::Garbage)
    }

    /// A server answers "no" in words, and the library hands that on as an error of no kind.
    fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidData => Self::Garbage,
            ErrorKind::Other => Self::Refused,
            _ => Self::Closed,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Guarded<TcpStream>,
}

impl Connection {
    /// Opens one. Bound it by a deadline.
    pub(super) async fn open(address: &str) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address).await.map_err(|_| Fault::Connect)?;
        stream.set_nodelay(true).map_err(|_| Fault::Connect)?;
        Ok(Self { stream: Guarded::new(stream) })
    }

    /// True when it may be used again: all was answered, nothing came unasked, and the server has not closed it.
    pub(super) fn is_good(&self) -> bool {
        let unasked = self.stream.stream().try_read(&mut [0]);
        self.stream.is_at_rest() && unasked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Asks, and reads the whole answer. Drop the connection when this is given up or fails.
    pub(super) async fn execute(&mut self, command: Command<'_>) -> Result<Reply, Fault> {
        let error = |error: std::io::Error| Fault::of(&error);
        match command {
            Command::Get(keys) => {
                self.stream.expect(Expected::Values(keys.to_vec())).map_err(error)?;
                Protocol::new(&mut self.stream).get_multi(keys).await.map(Reply::Values).map_err(error)
            }
            Command::Gets(key) => {
                self.stream.expect(Expected::Values(vec![key.to_owned()])).map_err(error)?;
                match Protocol::new(&mut self.stream).gets_cas(key).await {
                    Ok(found) => Ok(Reply::Value(Some(found))),
                    Err(none) if none.kind() == ErrorKind::NotFound => Ok(Reply::Value(None)),
                    Err(other) => Err(error(other)),
                }
            }
            Command::Add(write) => {
                self.stream.expect(Expected::Word(&["STORED", "NOT_STORED"])).map_err(error)?;
                let value = write.value.as_deref().unwrap_or_default();
                match Protocol::new(&mut self.stream).add(&write.key, value, write.life).await {
                    Ok(()) => Ok(Reply::Written(true)),
                    Err(there) if there.kind() == ErrorKind::AlreadyExists => Ok(Reply::Written(false)),
                    Err(other) => Err(error(other)),
                }
            }
            Command::Cas(write, version) => {
                self.stream.expect(Expected::Word(&["STORED", "EXISTS", "NOT_FOUND"])).map_err(error)?;
                let value = write.value.as_deref().unwrap_or_default();
                match Protocol::new(&mut self.stream).cas(&write.key, value, version, write.life).await {
                    Ok(written) => Ok(Reply::Written(written)),
                    // The library looks for `NOT FOUND`, and memcached says `NOT_FOUND`.
                    Err(gone) if gone.to_string().starts_with("NOT_FOUND") => Ok(Reply::Written(false)),
                    Err(other) => Err(error(other)),
                }
            }
            Command::Write(writes) => self.write(writes).await.map_err(error),
        }
    }

    /// The library's `set` and `delete` wait for no reply, and an error would come as a stray line. So a question
    /// that is always answered follows them: whatever comes before its answer is their error.
    async fn write(&mut self, writes: &[Write]) -> std::io::Result<Reply> {
        self.stream.expect(Expected::Word(&["VERSION"]))?;
        self.stream.cork(true);
        for Write { key, value, life } in writes {
            let mut protocol = Protocol::new(&mut self.stream);
            match value {
                Some(value) => protocol.set(key, value, *life).await?,
                None => protocol.delete(key).await?,
            }
        }
        self.stream.cork(false);
        Protocol::new(&mut self.stream).version().await?;
        Ok(Reply::Written(true))
    }
}
