// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Raw NAND for tests of power cuts: a flash chip whose cells are memory that outlives the machine.
 *
 * The host gives QEMU a file as a range of physical memory (share=on). What is programmed here is in that file at
 * once, so that it stays when QEMU is killed. The chip: pages of 2 KiB with 64 bytes beside, blocks of 64 pages,
 * SLC: a page is programmed once, in any order of blocks and in rising order within one, until its block is erased.
 *
 * The head of the file counts operations (a page programmed, a block erased, a block marked bad) and names the one
 * that the power does not outlast: not begun, torn, or just done. The machine then ends at once, through
 * isa-debug-exit. A page or block that was torn reads as uncorrectable; what the software does wrong is counted:
 * a page programmed twice, out of order, or in a block whose erase was torn.
 *
 * nand.py of this bed writes the same layout: head, data, bytes beside, one state a page, one mark a block.
 */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/mtd/mtd.h>
#include <linux/mtd/partitions.h>

#define PAGE	   2048u
#define OOB	   64u
#define PAGES	   64u
#define BLOCK	   (PAGE * PAGES)
#define HEAD_BYTES 4096u
#define MAGIC	   0x44444e41u /* "DDNA" */
#define EXIT_PORT  0xf4
#define EXIT_WORD  0x10 /* QEMU ends with 2 * word + 1 */
#define PARTS	   16

enum cut { CUT_BEFORE, CUT_TORN, CUT_AFTER };
enum state { ERASED, PROGRAMMED, TORN };
enum mark { GOOD, BAD, WORN }; /* worn: programming and erasing fail until it is marked bad */

/* Little endian, as everything here; the host writes cut_* before a boot. */
struct head {
	u32 magic, blocks;
	u64 operations, cut_at; /* cut_at 0 = never */
	u32 cut_kind, seed;
	u64 programmed, erased, twice, disorder;
};

static unsigned long address, bytes;
module_param(address, ulong, 0444);
module_param(bytes, ulong, 0444);
static char *names[PARTS];
static int name_count;
module_param_array(names, charp, &name_count, 0444);
static unsigned long sizes[PARTS]; /* in blocks */
static int size_count;
module_param_array(sizes, ulong, &size_count, 0444);

static struct head *head;
static u8 *cells, *beside, *states, *marks;
static struct mtd_info chip;
static struct mtd_partition parts[PARTS];
static DEFINE_MUTEX(lock);

static void power_off(void)
{
	wmb();
	outb(EXIT_WORD, EXIT_PORT);
	for (;;)
		cpu_relax();
}

/* The kind of cut that this operation meets, -1 for none. */
static int begin(void)
{
	head->operations++;
	if (head->cut_at != head->operations)
		return -1;
	if (head->cut_kind == CUT_BEFORE)
		power_off();
	return head->cut_kind;
}

/* A number below `limit` that is the same whenever this cut is tried again. */
static u32 drawn(u32 limit)
{
	u64 x = head->seed * 0x9e3779b97f4a7c15ull + head->operations;

	x ^= x >> 31;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 29;
	return (u32)((x >> 16) & 0xffffffff) % limit;
}

static void pages_set(u32 block, u8 state)
{
	memset(states + block * PAGES, state, PAGES);
	wmb();
}

static int block_erase(u32 block)
{
	u8 *data = cells + (u64)block * BLOCK;
	int cut = begin();

	if (marks[block] != GOOD)
		return -EIO;
	pages_set(block, TORN);
	if (cut == CUT_TORN) {
		u32 done = drawn(BLOCK);

		memset(data, 0xff, done);
		memset(beside + (u64)block * PAGES * OOB, 0xff, done / PAGE * OOB);
		power_off();
	}
	memset(data, 0xff, BLOCK);
	memset(beside + (u64)block * PAGES * OOB, 0xff, PAGES * OOB);
	wmb();
	pages_set(block, ERASED);
	head->erased++;
	if (cut == CUT_AFTER)
		power_off();
	return 0;
}

static int nand_erase(struct mtd_info *mtd, struct erase_info *info)
{
	u64 at;
	int error = 0;

	mutex_lock(&lock);
	for (at = info->addr; !error && at < info->addr + info->len; at += BLOCK) {
		error = block_erase((u32)(at / BLOCK));
		if (error)
			info->fail_addr = at;
	}
	mutex_unlock(&lock);
	return error;
}

/* Programming turns ones into zeros and nothing else. */
static void program(u8 *to, const u8 *from, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		to[i] &= from[i];
}

static void judge(u32 page)
{
	u32 i, first = page - page % PAGES;

	if (states[page] != ERASED) {
		head->twice++;
		pr_err("dfota_nand: page %u is programmed twice (state %u)\n", page, states[page]);
	}
	for (i = page + 1; i < first + PAGES; i++) {
		if (states[i] == ERASED)
			continue;
		head->disorder++;
		pr_err("dfota_nand: page %u is programmed after page %u\n", page, i);
		return;
	}
}

static int page_program(u32 page, const u8 *data)
{
	u8 *to = cells + (u64)page * PAGE;
	int cut = begin();

	if (marks[page / PAGES] != GOOD)
		return -EIO;
	judge(page);
	states[page] = TORN;
	wmb();
	if (cut == CUT_TORN) {
		program(to, data, drawn(PAGE));
		power_off();
	}
	program(to, data, PAGE);
	wmb();
	states[page] = PROGRAMMED;
	wmb();
	head->programmed++;
	if (cut == CUT_AFTER)
		power_off();
	return 0;
}

static int nand_write(struct mtd_info *mtd, loff_t to, struct mtd_oob_ops *ops)
{
	u32 page = (u32)(to >> 11), i, count = ops->datbuf ? (u32)(ops->len / PAGE) : 0;
	int error = 0;

	ops->retlen = ops->oobretlen = 0;
	if (ops->datbuf && (to % PAGE || ops->len % PAGE))
		return -EINVAL;
	if (ops->oobbuf && (ops->ooboffs + ops->ooblen > OOB))
		return -EINVAL;
	mutex_lock(&lock);
	for (i = 0; !error && i < count; i++) {
		error = page_program(page + i, ops->datbuf + i * PAGE);
		if (!error)
			ops->retlen += PAGE;
	}
	if (!error && ops->oobbuf) {
		program(beside + (u64)page * OOB + ops->ooboffs, ops->oobbuf, (u32)ops->ooblen);
		ops->oobretlen = ops->ooblen;
	}
	mutex_unlock(&lock);
	return error;
}

static int nand_read(struct mtd_info *mtd, loff_t from, struct mtd_oob_ops *ops)
{
	size_t done;
	bool torn = false;

	ops->retlen = ops->oobretlen = 0;
	if (ops->oobbuf && (ops->ooboffs + ops->ooblen > OOB))
		return -EINVAL;
	mutex_lock(&lock);
	for (done = 0; ops->datbuf && done < ops->len;) {
		u64 at = from + done;
		size_t piece = min_t(size_t, ops->len - done, PAGE - at % PAGE);

		memcpy(ops->datbuf + done, cells + at, piece);
		torn |= states[at / PAGE] == TORN;
		done += piece;
	}
	ops->retlen = ops->datbuf ? ops->len : 0;
	if (ops->oobbuf) {
		memcpy(ops->oobbuf, beside + (u64)(from / PAGE) * OOB + ops->ooboffs, ops->ooblen);
		ops->oobretlen = ops->ooblen;
	}
	if (torn)
		mtd->ecc_stats.failed++;
	mutex_unlock(&lock);
	return torn ? -EBADMSG : 0;
}

static int nand_is_bad(struct mtd_info *mtd, loff_t at)
{
	return marks[at / BLOCK] == BAD;
}

static int nand_mark_bad(struct mtd_info *mtd, loff_t at)
{
	int cut;

	mutex_lock(&lock);
	cut = begin();
	if (cut != CUT_TORN) /* one bit: there or not */
		marks[at / BLOCK] = BAD;
	wmb();
	if (cut >= 0)
		power_off();
	mtd->ecc_stats.badblocks++;
	mutex_unlock(&lock);
	return 0;
}

static int layout(void)
{
	u64 need;

	if (head->magic != MAGIC || head->blocks == 0 || head->blocks > 65536)
		return -EINVAL;
	need = HEAD_BYTES + (u64)head->blocks * (BLOCK + PAGES * OOB + PAGES + 1);
	if (need > bytes)
		return -ENOSPC;
	cells = (u8 *)head + HEAD_BYTES;
	beside = cells + (u64)head->blocks * BLOCK;
	states = beside + (u64)head->blocks * PAGES * OOB;
	marks = states + head->blocks * PAGES;
	return 0;
}

static int register_parts(void)
{
	u64 at = 0;
	int i;

	if (name_count != size_count)
		return -EINVAL;
	for (i = 0; i < name_count; i++) {
		parts[i].name = names[i];
		parts[i].offset = at;
		parts[i].size = (u64)sizes[i] * BLOCK;
		at += parts[i].size;
	}
	if (at > chip.size)
		return -ENOSPC;
	return mtd_device_register(&chip, parts, name_count);
}

static int __init nand_init(void)
{
	int error;

	head = memremap(address, bytes, MEMREMAP_WB);
	if (!head)
		return -ENOMEM;
	error = layout();
	if (!error) {
		chip = (struct mtd_info){
			.name = "dfota-nand", .type = MTD_NANDFLASH, .flags = MTD_CAP_NANDFLASH,
			.owner = THIS_MODULE, .size = (u64)head->blocks * BLOCK, .erasesize = BLOCK,
			.writesize = PAGE, .writebufsize = PAGE, .oobsize = OOB, .oobavail = OOB,
			.ecc_strength = 4, .ecc_step_size = 512, .bitflip_threshold = 3,
			._erase = nand_erase, ._read_oob = nand_read, ._write_oob = nand_write,
			._block_isbad = nand_is_bad, ._block_markbad = nand_mark_bad,
		};
		error = register_parts();
	}
	if (error) {
		pr_err("dfota_nand: cannot start: %d\n", error);
		memunmap(head);
	}
	return error;
}

static void __exit nand_exit(void)
{
	mtd_device_unregister(&chip);
	memunmap(head);
}

module_init(nand_init);
module_exit(nand_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("NAND that outlives the machine, for tests of power cuts");
