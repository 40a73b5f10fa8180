/* SPDX-License-Identifier: Apache-2.0 */
/* The guest for tests that need many guests: one boot sector for QEMU's machine type "pc".
 *
 * It says "KILONOVA HLT UP" on COM1 and sleeps without a timer tick, so a hundred of them cost nothing.  ACPI's
 * interrupt (SCI, IRQ 9) wakes it: on the power button it enters S5, so a soft stop takes no time; when a PCI
 * device is to be unplugged it ejects it, so detaching disks and NICs works.
 *
 * All addresses are those of QEMU's PIIX4 power management as SeaBIOS sets it up. */

        .set    COM1,           0x3f8
        .set    PM1_STATUS,     0x600   /* write 1 to clear; bit 8: power button */
        .set    PM1_ENABLE,     0x602
        .set    PM1_CONTROL,    0x604
        .set    GPE_STATUS,     0xafe0  /* bit 1: PCI hot-plug */
        .set    GPE_ENABLE,     0xafe2
        .set    PCI_DOWN,       0xae04  /* slots of the selected bus that shall be ejected */
        .set    PCI_EJECT,      0xae08
        .set    PCI_BUS,        0xae10
        .set    POWER_BUTTON,   0x0100
        .set    ENTER_S5,       0x2000  /* SLP_EN, sleep type 0 */
        .set    IRQ9_VECTOR,    0x71 * 4

        .code16
        .text
        .globl  _start
_start:
        cli
        ljmp    $0, $canonical          /* some BIOSes enter with 07c0:0000 */
canonical:
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $0x7c00, %sp
        cld

        movw    $sci, IRQ9_VECTOR
        movw    %ax, IRQ9_VECTOR + 2
        movb    $0xfb, %al              /* the first PIC passes on the second one (IRQ 2), */
        outb    %al, $0x21
        movb    $0xfd, %al              /* which passes on IRQ 9 only */
        outb    %al, $0xa1

        movw    $COM1 + 1, %dx          /* no interrupts from the serial port */
        xorb    %al, %al
        outb    %al, %dx
        movw    $banner, %si
        movw    $COM1, %dx
next_character:
        lodsb
        testb   %al, %al
        jz      arm
        outb    %al, %dx
        jmp     next_character

arm:
        movw    $PM1_ENABLE, %dx
        movw    $POWER_BUTTON, %ax
        outw    %ax, %dx
        movw    $GPE_ENABLE, %dx
        movb    $0x02, %al
        outb    %al, %dx

sleep:
        call    serve                   /* what came before the interrupt was armed counts, too */
        sti
        hlt
        jmp     sleep

/* IRQ 9 is level-triggered: it is served before it is acknowledged. */
sci:
        pushaw
        call    serve
        movb    $0x20, %al
        outb    %al, $0xa0
        outb    %al, $0x20
        popaw
        iretw

serve:
        cli
        movw    $PM1_STATUS, %dx
        inw     %dx, %ax
        testb   $POWER_BUTTON >> 8, %ah
        jz      eject
        movw    $POWER_BUTTON, %ax
        outw    %ax, %dx
        movw    $PM1_CONTROL, %dx
        movw    $ENTER_S5, %ax
        outw    %ax, %dx

eject:
        movw    $GPE_STATUS, %dx
        movb    $0x02, %al
        outb    %al, %dx
        movw    $PCI_BUS, %dx
        xorl    %eax, %eax
        outl    %eax, %dx
        movw    $PCI_DOWN, %dx
        inl     %dx, %eax
        testl   %eax, %eax
        jz      served
        movw    $PCI_EJECT, %dx
        outl    %eax, %dx
served:
        ret

banner: .asciz  "KILONOVA HLT UP\r\n"

/* Nova and Glance take a boot sector for an image only with a sane partition table: one, active, Linux. */
        .org    446
        .byte   0x80, 0x00, 0x02, 0x00, 0x83, 0x00, 0x21, 0x00
        .long   1, 2047
        .org    510
        .word   0xaa55
