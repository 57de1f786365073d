//! What an operator typed, before anybody believes it.
//!
//! Policies and the main config are both TOML, and both owe the operator the same: every fault at
//! once, with file, line, column and remedy. The way of a file through here:
//!
//! 1. [`Source`] holds the text, and knows which file or environment variable each byte came from.
//! 2. [`Document`] parses it into a tree in which every key and value knows its place, lets the
//!    environment lay its values over it ([`Overlay`]), and turns the tree into the serde types that mirror the
//!    file. serde stops at the first key it does not know; that key is noted, taken out of the tree,
//!    and the tree is read again.
//! 3. Single values are [`Leaf`]s and never stop serde: [`Written`] keeps either the value or what
//!    is wrong with it, and [`Faults::value`] tells the two apart later, where the place is known.
//! 4. The folder that owns the file checks what the values mean together, and adds to [`Faults`].
//!
//! Every field of a mirror type is optional: whether something may be left out is for step 4, which
//! can say what to write instead.

mod source;
mod spanned;
mod read;
mod overlay;
mod prune;
mod explain;
mod leaf;
mod list;
mod word;
mod units;
mod node;
mod faults;
mod quoting;
mod near;

pub(crate) use faults::{Faults, Span};
pub(crate) use leaf::{Leaf, Plain, Ratio, Written, Wrong};
pub(crate) use list::{Lines, List};
pub(crate) use near::nearest;
pub(crate) use node::Node;
pub(crate) use overlay::Overlay;
pub(crate) use read::{Document, file_text};
pub(crate) use source::Source;
pub(crate) use spanned::Spanned;
pub(crate) use units::{Bytes, in_units};
pub(crate) use word::Word;

/// A single value that may be left out, and its place.
pub(crate) type Field<T> = Option<Spanned<Written<T>>>;

#[cfg(test)]
mod schema;
#[cfg(test)]
pub(crate) use schema::{Shape, assert_is_shipped, duration_or, one_of};

#[cfg(test)]
mod tests;
