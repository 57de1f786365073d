//! Where all memory comes from: mimalloc, asked in the way that it answers best.
//!
//! glibc's allocator holds on to the memory of a burst; mimalloc gives it back. But its version 3 meets a request that names
//! an alignment, as the crate `mimalloc` has all of them do, by a longer way and with room to spare where no block of just that
//! size lies ready and the size is no power of two: a record of 80 bytes took 96 (`mi_malloc_is_naturally_aligned`). What it gives is
//! aligned for any type of C that fits into it anyway, so what asks for no more than that is asked for without a word of alignment.

#![expect(
    unsafe_code,
    reason = "an allocator cannot be written without; each call keeps the contract that its caller keeps"
)]

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};

/// mimalloc's `MI_MAX_ALIGN_SIZE`: every block of at least so many bytes is aligned to so many, and every smaller one to the
/// largest power of two in its size.
const ALWAYS: usize = 16;

/// The allocator of dipcache's programs.
#[derive(Debug)]
pub struct Mimalloc;

/// True when a block of this size is aligned so without being asked.
#[inline]
const fn is_given(size: usize, align: usize) -> bool {
    align <= ALWAYS && align <= size
}

// SAFETY: mimalloc gives blocks of at least the size that is asked for, which are nobody else's until they are freed, and
// aligned as `is_given` says or as it is told; null when it has none. It knows a block's size itself, however it was asked for.
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: takes any size, and any power of two, which an alignment is.
        unsafe { if is_given(size, align) { mi_malloc(size) } else { mi_malloc_aligned(size, align) } }.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        unsafe { if is_given(size, align) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) } }.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller hands in a block of ours, once.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align) = (block.cast(), layout.align());
        // SAFETY: the caller hands in a block of ours, and does not use it again unless this is null.
        unsafe { if is_given(size, align) { mi_realloc(block, size) } else { mi_realloc_aligned(block, size, align) } }
            .cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True when all of these bytes are this one.
    ///
    /// # Safety
    /// They must be there, and written.
    unsafe fn holds(block: *const u8, size: usize, byte: u8) -> bool {
        // SAFETY: as the caller says.
        unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|there| *there == byte)
    }

    /// What the contract with mimalloc rests on: its version could change it.
    #[test]
    fn every_block_is_aligned_as_asked_and_keeps_its_bytes_when_it_grows_or_shrinks() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..300).chain([512, 1000, 1024, 4032, 4096, 5000, 8192, 100_000, 3_000_000]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: of no size zero, within their bounds, and each freed once with the layout it has.
                unsafe {
                    // More than one, since the first of a page may lie better than the rest.
                    let used = [(); 3].map(|()| Mimalloc.alloc(layout));
                    for block in used {
                        assert_eq!(block.align_offset(align), 0, "{size} {align}");
                        block.write_bytes(7, size);
                    }
                    used.into_iter().for_each(|block| Mimalloc.dealloc(block, layout));
                    let (mut block, mut layout) = (Mimalloc.alloc_zeroed(layout), layout);
                    assert!(block.align_offset(align) == 0 && holds(block, size, 0), "{size} {align}");
                    block.write_bytes(7, size);
                    // Larger, much smaller, and below its own alignment.
                    for new in [2 * size, size / 3 + 1, 1] {
                        block = Mimalloc.realloc(block, layout, new);
                        let kept = new.min(layout.size()).min(size);
                        assert!(block.align_offset(align) == 0 && holds(block, kept, 7), "{size} {align} {new}");
                        layout = Layout::from_size_align(new, align).unwrap();
                    }
                    Mimalloc.dealloc(block, layout);
                }
            }
        }
    }

    #[test]
    fn a_record_takes_no_more_than_its_own_bytes() {
        // 64 bytes and two counts, as an `Arc<str>` asks for them.
        let layout = Layout::from_size_align(80, 8).unwrap();
        // SAFETY: as above.
        unsafe {
            let blocks = [(); 100].map(|()| Mimalloc.alloc(layout));
            let mut places = blocks.map(|block| block.addr());
            places.sort_unstable();
            let mut apart: Vec<usize> = places.windows(2).map(|two| two[1] - two[0]).collect();
            apart.sort_unstable();
            assert_eq!(apart[apart.len() / 2], 80);
            blocks.into_iter().for_each(|block| Mimalloc.dealloc(block, layout));
        }
    }
}
