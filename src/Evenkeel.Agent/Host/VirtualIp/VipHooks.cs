using System.Diagnostics;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Services.VirtualIp;

namespace Evenkeel.Agent.Host.VirtualIp;

/// <summary>
/// Carries the virtual IPs' hooks out on this node. It follows what is so rather than what happened: an agent that starts anew and
/// adopts a lease tells the network again.
/// </summary>
internal sealed class VipHooks(AgentConfiguration configuration, Func<(ClusterSpec? Spec, IReadOnlyDictionary<string, Epoch> Held)> look, TimeProvider time, Action<string> log) : IDisposable
{
    private static readonly TimeSpan period = TimeSpan.FromMilliseconds(50);
    // A node that the network does not listen to lets others try; then it may be asked again.
    private static readonly TimeSpan standsBack = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan endPatience = TimeSpan.FromSeconds(5);

    private sealed record Entry(HookDuty Duty, Task Work)
    {
        public VipSpec? Vip { get; set; }
    }

    private readonly Dictionary<string, Entry> duties = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource ending = new();
    private long backAt;

    /// <summary>False for a while after the hook of an address that is held here has failed time after time.</summary>
    public bool Reachable => time.GetTimestamp() >= Volatile.Read(ref backAt);

    /// <summary>Until cancelled; then what this node no longer holds is released, within a few seconds.</summary>
    public async Task FollowAsync(CancellationToken cancellation)
    {
        // Addresses of a cluster on loopback are no network's business.
        if (configuration.PublicInterface is not { } publicInterface) return;
        using var timer = new PeriodicTimer(period, time);
        try
        {
            do Look(publicInterface);
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            await EndAsync(publicInterface).ConfigureAwait(false);
        }
    }

    public void Dispose()
    {
        foreach (var entry in duties.Values) entry.Duty.Dispose();
        ending.Dispose();
    }

    private void Look(string publicInterface)
    {
        var (spec, held) = look();
        if (spec is null) return;
        foreach (var vip in spec.Vips.Values)
        {
            if (vip.Hook is not null && !duties.ContainsKey(vip.Name)) duties[vip.Name] = Begin(vip.Name, publicInterface);
            if (duties.TryGetValue(vip.Name, out var known)) known.Vip = vip;
        }
        foreach (var (name, entry) in duties)
        {
            entry.Duty.Hold(held.TryGetValue(name, out var epoch) ? epoch : null);
            if (!entry.Duty.Fails || !Reachable) continue;
            Volatile.Write(ref backAt, time.GetTimestamp() + (long)(standsBack.TotalSeconds * time.TimestampFrequency));
            log($"the hook of virtual IP {name} fails here time after time: this node owns no virtual IPs for {standsBack.TotalSeconds:0} s");
        }
    }

    private Entry Begin(string name, string publicInterface)
    {
        Entry? entry = null;
        var duty = new HookDuty(() => entry?.Vip?.Hook, (action, epoch, cancellation) => VipHook.RunAsync(Call(entry!.Vip!, action, epoch, publicInterface), cancellation), time,
            problem => log($"virtual IP {name}: {problem}"));
        return entry = new Entry(duty, duty.RunAsync(ending.Token));
    }

    private HookCall Call(VipSpec vip, HookAction action, Epoch epoch, string publicInterface)
    {
        var own = look().Spec?.Nodes.GetValueOrDefault(configuration.Node)?.AllPublic.FirstOrDefault(address => address.AddressFamily == vip.Address.AddressFamily);
        return new HookCall(action, configuration.Cluster, configuration.Node, own?.ToString(), publicInterface, vip, epoch);
    }

    private async Task EndAsync(string publicInterface)
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < endPatience; await Task.Delay(period, CancellationToken.None).ConfigureAwait(false))
        {
            Look(publicInterface);
            // What is held yet (an agent that leaves alone) stays as the network knows it.
            if (duties.All(entry => entry.Value.Duty.IsIdle || look().Held.ContainsKey(entry.Key))) break;
        }
        await ending.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(duties.Values.Select(entry => entry.Work)).WaitAsync(endPatience, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
