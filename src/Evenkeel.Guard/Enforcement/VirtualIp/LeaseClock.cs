using System.Buffers.Binary;
using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>
/// The end of each address's lease, on CLOCK_BOOTTIME, in memory that the kernel's rules read for every packet. To renew is to store a
/// number: it waits for nobody, and as the number is a moment and not a time span, a guard that was held up between reading the
/// clock and storing has prolonged nothing. The memory lives on with the rules when the guard dies, and its numbers run out.
/// </summary>
internal sealed unsafe class LeaseClock : IDisposable
{
    private const int Slots = 4096;
    private readonly int map;
    private readonly Dictionary<IPAddress, int> slots = [];
    private long* ends;

    private LeaseClock(int map, long* ends)
    {
        this.map = map;
        this.ends = ends;
    }

    public delegate LeaseClock? Maker(out string? reason);

    /// <returns>Null when the kernel or this process's rights do not allow it; then the reason.</returns>
    public static LeaseClock? TryMake(out string? reason)
    {
        reason = null;
        if (BootClock.IsOwn)
        {
            // The rules would compare with another: a lease could end an hour late.
            reason = "this process has a time namespace of its own";
            return null;
        }
        var map = Bpf.CreateValue(Slots * sizeof(long));
        if (map < 0)
        {
            reason = $"bpf: {Libc.Describe(Libc.LastError)}";
            return null;
        }
        var memory = Libc.mmap(null, Slots * sizeof(long), Libc.MapReadWrite, Libc.MapShared, map, 0);
        if (memory != Libc.MapFailed) return new LeaseClock(map, (long*)memory);
        reason = $"mmap of a bpf map: {Libc.Describe(Libc.LastError)}";
        _ = Libc.close(map);
        return null;
    }

    /// <summary>From now on the address has a lease, which is over until <see cref="Set"/>; one that has it keeps it.</summary>
    /// <returns>Null when all is well.</returns>
    public string? Add(IPAddress address) =>
        slots.ContainsKey(address) || (slots.Count < Slots && slots.TryAdd(address, slots.Count)) ? null : $"more than {Slots} virtual IPs on one node";

    /// <summary>A filter that matches once the lease of an address that was added is over, for <see cref="NftExpressions.Match"/>; the caller closes it.</summary>
    /// <returns>-1 when there is none; then the reason.</returns>
    public int Expired(IPAddress address, out string? reason)
    {
        return Load(Bpf.SocketFilter, out reason, [
            .. ReadEnd(address),
            Instruction(0x85, 0, 0, BootTime),
            Instruction(0xad, 0x70, 2, 0),   // if r0 < r7: it still stands
            Instruction(0xb7, 0, 0, 1), Exit,
            Instruction(0xb7, 0, 0, 0), Exit]);
    }

    /// <summary>A classifier that drops ARP whose sender is one of the addresses (IPv4, added) and has no lease, for <see cref="ArpFence"/>; the caller closes it.</summary>
    /// <returns>-1 when there is none; then the reason.</returns>
    public int SilentArp(IReadOnlyList<IPAddress> addresses, out string? reason)
    {
        const int each = 5, passes = 2;
        List<ulong> program =
        [
            Instruction(0xbf, 0x16, 0, 0),   // r6 = the packet
            Instruction(0x20, 0, 0, 14 + 14), // r0 = ARP's sender protocol address, in host order
            Instruction(0xbf, 0x08, 0, 0),   // r8 = r0
        ];
        for (var i = 0; i < addresses.Count; i++)
        {
            program.Add(Instruction(0x56, 0x08, each - 1, BinaryPrimitives.ReadInt32BigEndian(addresses[i].GetAddressBytes()))); // another: the next
            program.AddRange(ReadEnd(addresses[i]));
            program.Add(Instruction(0x05, 0, (short)((addresses.Count - 1 - i) * each + passes), 0)); // to the call below
        }
        program.AddRange([
            Instruction(0xb7, 0, 0, -1), Exit,  // TC_ACT_UNSPEC: whatever else there is decides
            Instruction(0x85, 0, 0, BootTime),
            Instruction(0xad, 0x70, 2, 0),   // if r0 < r7: it still stands
            Instruction(0xb7, 0, 0, 2), Exit,   // TC_ACT_SHOT
            Instruction(0xb7, 0, 0, -1), Exit]);
        return Load(Bpf.Classifier, out reason, [.. program]);
    }

    /// <summary>The lease of an address that was added ends then; both clocks of the instant count.</summary>
    public void Set(IPAddress address, Instant until)
    {
        var now = BootClock.Now();
        var end = Math.Min(until.BootNanoseconds, now.BootNanoseconds + (until.RawNanoseconds - now.RawNanoseconds));
        Volatile.Write(ref ends[slots[address]], Math.Max(end, 0));
    }

    /// <summary>It is over.</summary>
    public void End(IPAddress address)
    {
        if (slots.TryGetValue(address, out var slot)) Volatile.Write(ref ends[slot], 0);
    }

    /// <summary>Gives back what is this process's; rules that read the memory keep it as it is now.</summary>
    public void Dispose()
    {
        if (ends is null) return;
        _ = Libc.munmap(ends, Slots * sizeof(long));
        _ = Libc.close(map);
        ends = null;
    }

    private const int BootTime = 125; // bpf_ktime_get_boot_ns
    private static readonly ulong Exit = Instruction(0x95, 0, 0, 0);

    // r7 = when the lease ends; where that stands first (BPF_PSEUDO_MAP_VALUE).
    private ulong[] ReadEnd(IPAddress address) => [Instruction(0x18, 0x27, 0, map), Instruction(0, 0, 0, slots[address] * sizeof(long)), Instruction(0x79, 0x77, 0, 0)];

    private static int Load(uint type, out string? reason, ulong[] program)
    {
        var descriptor = Bpf.Load(type, program);
        reason = descriptor < 0 ? $"bpf program: {Libc.Describe(Libc.LastError)}" : null;
        return descriptor;
    }

    // struct bpf_insn: code, destination (low nibble) and source register, offset, immediate.
    private static ulong Instruction(byte code, byte registers, short offset, int immediate) =>
        code | (ulong)registers << 8 | (ulong)(ushort)offset << 16 | (ulong)(uint)immediate << 32;
}
