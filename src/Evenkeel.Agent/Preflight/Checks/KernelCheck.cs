using System.Globalization;
using Evenkeel.Agent.Local;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>What the guard's last line of defence stands on: nf_tables, cgroup v2, real-time priority, locked memory, raw packets, a watchdog.</summary>
internal sealed class KernelCheck(PreflightSubject subject) : PreflightCheck("kernel", subject)
{
    private const int IpcLock = 14; // CAP_IPC_LOCK, linux/capability.h
    private static readonly Version s_killsGroups = new(5, 14); // cgroup.kill
    // As the guard lets virtual IPs through: an element that goes by itself.
    private const string Rules = "add table inet evenkeel_preflight; add set inet evenkeel_preflight let { type ipv4_addr; flags timeout; }; "
        + "add element inet evenkeel_preflight let { 192.0.2.1 timeout 1s }; delete table inet evenkeel_preflight";

    public override async Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation)
    {
        List<PreflightFinding> found = [.. Subject.GuardMisses.Select(miss => Warning($"the guard says: {miss}", "See docs/operations/preflight.md, kernel"))];
        found.AddRange(Version());
        if (Subject.Self.Public is not null)
        {
            found.AddRange(await PacketFilterAsync(cancellation).ConfigureAwait(false));
            found.AddRange(KernelCalls.TryPacketSocket() is { } reason
                ? [Failed($"no packets of its own may be sent ({reason}): a virtual IP's move cannot be announced", "Run it as root; in a container: CAP_NET_RAW")] : Array.Empty<PreflightFinding>());
        }

        found.AddRange(Groups());
        found.AddRange(KernelCalls.TryRealTime() is { } why
            ? [Warning($"no real-time priority ({why}): a starved server may lose its leases", "Root with CAP_SYS_NICE; where kernel.sched_rt_runtime_us is 0 or the control group has no real-time share: sysctl kernel.sched_rt_runtime_us=950000")] : Array.Empty<PreflightFinding>());
        found.AddRange(KernelCalls.LockLimit() is { } limit && !Has(IpcLock)
            ? [Warning($"memory cannot be locked (the limit is {limit / 1024} KiB): paging may stall the guard", "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited; in a container: CAP_IPC_LOCK")] : Array.Empty<PreflightFinding>());
        found.Add(File.Exists("/dev/watchdog") ? Passed("/dev/watchdog is there") : Note("no /dev/watchdog: a server whose kernel hangs is not reset by itself", "Where the board has none: modprobe softdog"));
        if (found.All(finding => finding.Verdict < PreflightVerdict.Warning))
        {
            found.Add(Passed("nf_tables, cgroup v2, real-time priority and locked memory are there"));
        }

        return found;
    }

    private IEnumerable<PreflightFinding> Version()
    {
        if (Environment.OSVersion.Version is var version && version < s_killsGroups)
        {
            yield return Warning($"Linux {version} has no cgroup.kill: a service's processes are killed one by one", "Linux 5.14 or later");
        }
    }

    private async Task<IEnumerable<PreflightFinding>> PacketFilterAsync(CancellationToken cancellation)
    {
        try
        {
            await SystemCommand.RunAsync(["nft", Rules], cancellation).ConfigureAwait(false);
            return [];
        }
        catch (LocalClusterException exception)
        {
            return [Failed($"nf_tables cannot be used, so the kernel does not end a frozen guard's virtual IP: {exception.Message.ReplaceLineEndings(" ")}",
                exception.Message.StartsWith("cannot run", StringComparison.Ordinal) ? "Install nftables (apt install nftables)" : "Root with CAP_NET_ADMIN; modprobe nf_tables; in a container the host's kernel must have it")];
        }
    }

    private IEnumerable<PreflightFinding> Groups()
    {
        const string mend = "Boot with systemd.unified_cgroup_hierarchy=1; in a container: a writable cgroup namespace (Delegate=yes)";
        // mountinfo, proc(5): … mount point (5th) … - type source options
        var mount = File.ReadLines("/proc/self/mountinfo").Select(line => line.Split(' ')).Where(fields => Array.IndexOf(fields, "-") is > 0 and var dash && fields[dash + 1] == "cgroup2").Select(fields => fields[4]).FirstOrDefault();
        if (mount is null)
        {
            return [Warning("cgroup v2 is not mounted: a service that left its process group is not found when it must end", mend)];
        }

        var own = File.ReadLines("/proc/self/cgroup").FirstOrDefault(line => line.StartsWith("0::", StringComparison.Ordinal))?[3..].Trim('/') ?? "";
        var group = Path.Combine(mount, own, $"evenkeel-preflight-{Environment.ProcessId}");
        try
        {
            Directory.CreateDirectory(group);
            var kills = File.Exists(Path.Combine(group, "cgroup.kill"));
            Directory.Delete(group);
            return kills ? [] : [Warning($"control groups below {mount} have no cgroup.kill: processes are killed one by one", "Linux 5.14 or later")];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [Warning($"no control group can be made below {Path.Combine(mount, own)} ({exception.Message}): a service that left its process group is not found when it must end", mend)];
        }
    }

    private static bool Has(int capability) => File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("CapEff:", StringComparison.Ordinal)) is { } line
        && ulong.TryParse(line.AsSpan(7).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var effective) && (effective & (1ul << capability)) != 0;
}
