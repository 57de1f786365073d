//! `[warm]`: what is asked before anybody calls.

use super::Check;
use crate::policy::file::warm::WarmFile;
use crate::policy::warm::Warm;
use crate::written::{Ratio, Spanned};

impl Check<'_> {
    pub(super) fn warm(&mut self, file: Option<Spanned<WarmFile>>) -> Warm {
        let Some(file) = file.map(Spanned::into_inner) else { return Warm::default() };
        Warm { share: self.faults.or(file.share, Ratio(Warm::default().share)).0 }
    }
}
