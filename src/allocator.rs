//! Where all memory comes from: mimalloc, asked in the way that it answers best.
//!
//! glibc's allocator holds on to the memory of a burst; mimalloc gives it back. But its version 3 meets a request that names an
//! alignment, as all of Rust's do and the crate `mimalloc` hands them on, with room to spare: 80 bytes in a block of 96,
//! by a longer way (`mi_malloc_is_naturally_aligned` says yes to powers of two alone). Whatever it gives is
//! aligned for any type of C anyway, so what asks for no more than that is asked for without a word of alignment.

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

    /// What the contract with mimalloc rests on: its version could change it.
    #[test]
    fn every_block_is_aligned_as_asked_and_keeps_its_bytes_when_it_grows() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..300).chain([512, 1000, 1024, 4032, 4096, 5000, 8192, 100_000, 3_000_000]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: of no size zero, within their bounds, and each freed once with the layout it has.
                unsafe {
                    // More than one, since the first of a page may lie better than the rest.
                    let blocks = [(); 3].map(|()| Mimalloc.alloc_zeroed(layout));
                    for block in blocks {
                        assert_eq!(block.align_offset(align), 0, "{size} {align}");
                        assert_eq!((*block, *block.add(size - 1)), (0, 0), "{size} {align}");
                        *block.add(size - 1) = 7;
                        let larger = Mimalloc.realloc(block, layout, 2 * size);
                        assert_eq!((larger.align_offset(align), *larger.add(size - 1)), (0, 7), "{size} {align}");
                        Mimalloc.dealloc(larger, Layout::from_size_align(2 * size, align).unwrap());
                    }
                    let block = Mimalloc.alloc(layout);
                    assert_eq!(block.align_offset(align), 0, "{size} {align}");
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
            let near = places.windows(2).map(|two| two[1] - two[0]).min();
            assert_eq!(near, Some(80));
            blocks.into_iter().for_each(|block| Mimalloc.dealloc(block, layout));
        }
    }
}
