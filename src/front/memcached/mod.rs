//! The memcached front: lookups, health flags and plain keys over memcached's text protocol.
//!
//! Every SIP server has a memcached client; few have an HTTP client that counts in milliseconds. A
//! command's way: [`input`] cuts it off the bytes, [`command`] and [`meta`] read its line, [`key`] says whose the
//! key is. A lookup's goes to [`dip`] (`get lrn:13035550123`), a plain one to [`plain`] and [`meta_run`]
//! over the [`store`]. [`connection`] is the loop around it.
//!
//! What must hold: every command is answered, and in the order in which they came; malformed input is
//! refused and the connection stays in step; what a client sends or leaves unsent is bounded in size and,
//! once a command has begun, in time; an idle connection is left alone for ever. No data is `END`: Kamailio
//! cannot tell an error from a miss. Never a value of length zero for a lookup, never a line end in one.
//!
//! Not here on purpose: the binary protocol (a first byte 0x80 closes), SASL, UDP. `tests/memcached_front.rs` compares the plain
//! keys byte for byte with a real memcached. Two differences are meant: a refused value is passed over, where
//! memcached reads it as a command; and a control character in a key is refused.

mod input;
pub mod command;
mod meta;
mod numbers;
mod key;
mod dip;
mod meta_dip;
mod store;
mod plain;
mod meta_run;
mod stats;
mod connection;

use std::sync::Arc;
use std::time::Duration;

use crate::front::desk::Desk;
use crate::front::form::Form;
use crate::front::listen::{self, Drain, Limits, Listener, UnixDoor};

use connection::Connection;
use stats::Counters;
use store::Store;

/// What may be set about the front.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bounds for connections.
    pub limits: Limits,
    /// How a record is told where no field is asked for.
    pub form: Form,
    /// The most bytes that plain keys may take.
    pub store_bytes: usize,
    /// A command that has begun must be whole within this time.
    pub command_time: Duration,
    /// A reply must be taken within this time.
    pub write_time: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            form: Form::Json,
            store_bytes: 64 * 1024 * 1024,
            command_time: Duration::from_secs(60),
            write_time: Duration::from_secs(10),
        }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared<D> {
    desk: Arc<D>,
    store: Store,
    form: Form,
    settings: Settings,
    counters: Counters,
}

/// Where clients come in.
#[derive(Debug, Default)]
pub struct Doors {
    /// Over TCP.
    pub tcp: Vec<Listener>,
    /// Over UNIX sockets.
    pub unix: Vec<UnixDoor>,
}

/// Serves at these doors, over one store of plain keys, until `drain` begins and all commands in hand are answered,
/// or its time is over.
pub async fn serve<D: Desk>(doors: Doors, desk: Arc<D>, settings: Settings, drain: Drain) {
    let shared = Arc::new(Shared {
        desk,
        store: Store::new(settings.store_bytes),
        form: settings.form.clone(),
        counters: Counters::new(),
        settings,
    });
    let (limits, watched) = (shared.settings.limits, drain.clone());
    let over_tcp = {
        let (shared, watched) = (Arc::clone(&shared), watched.clone());
        listen::serve(doors.tcp, limits, drain.clone(), move |stream| {
            Connection::new(stream, Arc::clone(&shared), watched.watch()).run()
        })
    };
    let over_unix = listen::serve(doors.unix, limits, drain, move |stream| {
        Connection::new(stream, Arc::clone(&shared), watched.watch()).run()
    });
    tokio::join!(over_tcp, over_unix);
}
