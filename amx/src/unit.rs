//! The matrix unit itself.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

use crate::{PAIRS, ROWS, Right, Terms, WIDTH};

/// That the process may use the unit. Nothing else makes one than [`request`](Unit::request).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit(());

impl Unit {
    pub(crate) fn request() -> Option<Self> {
        static PERMITTED: OnceLock<bool> = OnceLock::new();
        PERMITTED.get_or_init(|| has_unit() && permit()).then_some(Unit(()))
    }

    /// Adds 32 rows of 32 columns; the operands have been looked at.
    pub(crate) fn add(self, c: &mut [f32], apart: usize, left: &[Terms], right: Right<'_>, step: isize) {
        let Right { words, first, pairs, .. } = right;
        assert!(c.len() >= (ROWS - 1) * apart + ROWS, "32 rows of 32 columns");
        let Some(last) = left.len().checked_sub(1) else { return };
        for terms in [0, last] {
            let pair = right.pair(terms, step).expect("pairs that there are");
            assert!(words.len() >= (pair + pairs - 1) * WIDTH + ROWS, "pairs of 32 columns");
        }
        let config = Config::of(pairs);
        // SAFETY: `Unit` proves that processor and system allow the instructions. All addresses are inside the slices: c has 32 rows of
        // 32 numbers `apart` from each other; each block of terms is 2,048 bytes; of the right operand, the first and the last block of
        // pairs have been looked at, and the others lie between them. Tiles are configured first and released at the end, and nothing
        // else in the program uses them.
        unsafe {
            let right = words.as_ptr().wrapping_add(first * WIDTH);
            asm!(
                "ldtilecfg [{config}]",
                "tileloadd tmm0, [{c} + {c_apart}*1]",
                "tileloadd tmm1, [{c} + {c_apart}*1 + 64]",
                "tileloadd tmm2, [{lower} + {c_apart}*1]",
                "tileloadd tmm3, [{lower} + {c_apart}*1 + 64]",
                "2:",
                "tileloadd tmm6, [{b} + {b_apart}*1]",
                "tileloadd tmm7, [{b} + {b_apart}*1 + 64]",
                "tileloadd tmm4, [{a} + {a_apart}*1]",
                "tileloadd tmm5, [{a} + {a_apart}*1 + 1024]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 2048",
                "add {b}, {b_step}",
                "dec {left}",
                "jnz 2b",
                "tilestored [{c} + {c_apart}*1], tmm0",
                "tilestored [{c} + {c_apart}*1 + 64], tmm1",
                "tilestored [{lower} + {c_apart}*1], tmm2",
                "tilestored [{lower} + {c_apart}*1 + 64], tmm3",
                "tilerelease",
                config = in(reg) &raw const config,
                c = in(reg) c.as_mut_ptr(),
                lower = in(reg) c.as_mut_ptr().wrapping_add(ROWS / 2 * apart),
                c_apart = in(reg) apart * size_of::<f32>(),
                a = inout(reg) left.as_ptr() => _,
                a_apart = in(reg) PAIRS * size_of::<u32>(),
                b = inout(reg) right => _,
                b_apart = in(reg) WIDTH * size_of::<u32>(),
                b_step = in(reg) step * (WIDTH * size_of::<u32>()) as isize,
                left = inout(reg) left.len() => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

/// What `LDTILECFG` reads: palette 1, and of each tile its bytes in a row and its rows.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

impl Config {
    /// Tiles 0 to 3 are of c, 4 and 5 of the left operand, 6 and 7 of so many pairs of the right one.
    fn of(pairs: usize) -> Self {
        let (mut bytes, mut rows) = ([0; 16], [0; 16]);
        bytes[..8].fill(64);
        rows[..8].fill(16);
        bytes[4..6].fill(4 * pairs as u16);
        rows[6..8].fill(pairs as u8);
        Config { palette: 1, start_row: 0, reserved: [0; 14], bytes, rows }
    }
}

/// Whether the processor has tiles and their products of bfloat16 numbers.
fn has_unit() -> bool {
    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    let edx = __cpuid_count(7, 0).edx;
    edx & BF16 != 0 && edx & TILE != 0
}

/// Whether Linux lets the process have them: it keeps their numbers when it changes threads.
fn permit() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: a system call that takes two numbers and changes no memory of the program's.
    let refused = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) };
    refused == 0
}
