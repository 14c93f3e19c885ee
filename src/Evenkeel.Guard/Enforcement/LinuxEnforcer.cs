using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Evenkeel.Guard.Enforcement.Processes;
using Evenkeel.Guard.Enforcement.Scheduling;
using Evenkeel.Guard.Enforcement.VirtualIp;

namespace Evenkeel.Guard.Enforcement;

/// <summary>Everything that this machine permits: virtual IPs, services' processes, the guard's own priority.</summary>
internal sealed class LinuxEnforcer : IEnforcer
{
    private readonly VirtualIpStack addresses;
    private readonly ProcessLauncher launcher;
    private readonly Dictionary<string, LaunchRequest> launching = [];
    private readonly Queue<LaunchResult> refused = new();

    /// <summary>Makes itself ready, and ends what an earlier guard with this state directory left.</summary>
    /// <param name="stateDirectory">Unique on the machine (the guard's lock is in it): it names this guard's cgroup.</param>
    public LinuxEnforcer(string stateDirectory)
    {
        var priority = GuardPriority.Raise();
        launcher = new ProcessLauncher(NameOf(stateDirectory));
        addresses = VirtualIpStack.Open();
        Missing = [.. priority, .. launcher.Missing, .. addresses.Missing];
    }

    public IReadOnlyList<string> Missing { get; }
    public int Descriptor => launcher.Descriptor;

    /// <summary>What an earlier guard had left, for the log.</summary>
    public IReadOnlyList<string> Swept => [.. launcher.Swept, .. addresses.Swept];

    public IDoor DoorOf(ResourceId resource, Epoch epoch, Core.PrivateConnection.Enforcement door) => door switch
    {
        VipEnforcement vip => addresses.Door(vip),
        CgroupEnforcement cgroup => new CgroupDoor(launcher, cgroup.Instance),
        _ => new RefusedDoor($"{resource}: the guard has no door of kind {door.GetType().Name}"),
    };

    public void Launch(LaunchRequest request)
    {
        if (launcher.Start(request) is { } reason) refused.Enqueue(new LaunchResult(request, 0, reason));
        else launching[request.Instance] = request;
    }

    public string? Signal(string instance, int number, bool tree) => launcher.Signal(instance, number, tree);

    public void Advance(Instant now, Action<GuardEvent> happened, Action<string> warning)
    {
        while (refused.TryDequeue(out var result)) happened(result);
        launcher.Tick(message =>
        {
            if (message is Exited exited) happened(new InstanceExited(exited.Instance, exited.ProcessId, exited.ExitCode, exited.Left));
            else if (message is Launched launched && launching.Remove(launched.Instance, out var request))
                happened(new LaunchResult(request, launched.ProcessId, launched.Error));
        });
        addresses.Tick(now, warning);
    }

    public void AnnounceAgain(Instant now) => addresses.AnnounceAgain(now);

    public void Dispose()
    {
        launcher.Dispose();
        addresses.Dispose();
    }

    /// <summary><c>evenkeel-n1-1a2b3c4d</c> for <c>/var/lib/evenkeel/n1</c>: readable, and different for every path.</summary>
    internal static string NameOf(string stateDirectory)
    {
        var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(stateDirectory));
        var last = new string([.. Path.GetFileName(path).Where(c => char.IsAsciiLetterOrDigit(c) || c == '-').Take(32)]);
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(path)).AsSpan(0, 4));
        return string.Create(CultureInfo.InvariantCulture, $"evenkeel-{last}-{hash}");
    }
}
