using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Evenkeel.PublicConnection.Balancer.Tcp;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The balancer's listeners. Where VIPs are real addresses, every listener is bound at once and stays (takeover is only an
/// address move); where a VIP is a listener, it opens and closes with the lease. One that cannot be opened is tried again each second;
/// meanwhile it hinders nothing but its own VIP, which goes where it can be.
/// </summary>
internal sealed class FrontDoors(HttpBalancer http, TcpBalancer tcp, bool realAddresses, Action<string> log, CancellationToken stopping)
{
    private static readonly TimeSpan BindPatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan RetryPeriod = TimeSpan.FromSeconds(1);
    // Who has the port is looked for among all processes: not each time.
    private const int LookEvery = 30;
    private readonly Lock _gate = new();
    private readonly HashSet<PublicEndpoint> _wanted = [];
    private readonly Dictionary<PublicEndpoint, DoorKind> _open = [];
    private readonly Dictionary<PublicEndpoint, (string What, int Tries)> _refused = [];
    private volatile IReadOnlyList<ShutDoor> _shut = [];
    private bool _retrying;
    private RouteTable _table = RouteTable.Empty;
    private Task _work = Task.CompletedTask;

    /// <summary>A VIP may come: its listeners are bound, or will be as it comes; of the others it is known that they cannot be.</summary>
    public bool Ready
    {
        get
        {
            lock (_gate)
            {
                return _table.Version > 0 && (!realAddresses || _wanted.All(endpoint => _open.ContainsKey(endpoint) || _refused.ContainsKey(endpoint)));
            }
        }
    }

    /// <summary>What the balancers still have under way with instances that get nothing new.</summary>
    public IReadOnlyList<Carried> Finishing => [.. http.Finishing.Concat(tcp.Finishing).Distinct()];

    /// <summary>See <see cref="NodeFacts.Shut"/>; another list only when it says something else. Empty where VIPs are listeners: all nodes share the machine's ports there.</summary>
    public IReadOnlyList<ShutDoor> Shut => _shut;

    public void Publish(RouteTable table)
    {
        http.Publish(table);
        tcp.Publish(table);
        lock (_gate)
        {
            _table = table;
            foreach (var endpoint in _open.Keys.Where(IsOfAnotherKind).ToList())
            {
                Then(() => ReopenAsync(endpoint));
            }

            if (!realAddresses)
            {
                return;
            }

            var wanted = table.Routes.Select(route => route.Listen).ToHashSet();
            foreach (var endpoint in wanted.Except(_wanted).ToList())
            {
                _wanted.Add(endpoint);
                Then(() => OpenAsync(endpoint));
            }

            foreach (var endpoint in _wanted.Except(wanted).ToList())
            {
                _wanted.Remove(endpoint);
                Then(() => CloseAsync(endpoint));
            }

            // A door may be another VIP's now, or nobody's.
            SayWhatIsShut();
        }
    }

    /// <summary>The lease of a VIP that is a listener is held.</summary>
    public void Open(ListenerEnforcement listener)
    {
        foreach (var port in listener.Ports)
        {
            var endpoint = new PublicEndpoint(IPAddress.Parse(listener.Address), port);
            lock (_gate)
            {
                _wanted.Add(endpoint);
            }

            Then(() => OpenAsync(endpoint));
        }
    }

    /// <summary>The VIP is about to move: nothing new comes in, and what is under way ends in order within this time.</summary>
    public Task QuietAsync(ResourceId vip, TimeSpan within) => Task.WhenAll(EndpointsOf(vip).Select(endpoint =>
    {
        tcp.Quiet(endpoint);
        return http.QuietAsync(endpoint, within);
    }));

    /// <summary>The VIP has gone: its listeners are ready for its return.</summary>
    /// <param name="lost">It is not here any more: who is connected by it is told.</param>
    public void Reopen(ResourceId vip, bool lost)
    {
        foreach (var endpoint in EndpointsOf(vip))
        {
            if (lost && realAddresses)
            {
                tcp.Abandon(endpoint);
                http.Abandon(endpoint);
            }

            tcp.Reopen(endpoint);
            http.Reopen(endpoint);
        }
    }

    /// <summary>Nothing accepts at the VIP's listeners any more when this ends.</summary>
    public Task CloseAsync(ResourceId vip, TimeSpan within)
    {
        _ = within; // closing takes no time of ours: what is under way ends by itself or is cut by the balancer's grace
        var endpoints = EndpointsOf(vip);
        lock (_gate)
        {
            _wanted.ExceptWith(endpoints);
        }

        return Then(() => Task.WhenAll(endpoints.Select(CloseAsync)));
    }

    private List<PublicEndpoint> EndpointsOf(ResourceId vip)
    {
        lock (_gate)
        {
            return [.. _table.Routes.Where(route => route.Vip == vip.Name).Select(route => route.Listen).Distinct()];
        }
    }

    /// <summary>One after the other: an opening must not overtake the closing before it.</summary>
    private Task Then(Func<Task> act)
    {
        lock (_gate)
        {
            return _work = _work.ContinueWith(_ => act(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).Unwrap();
        }
    }

    private async Task OpenAsync(PublicEndpoint endpoint)
    {
        DoorKind kind;
        lock (_gate)
        {
            // By its turn it may be wanted no more, or be open already.
            if (!_wanted.Contains(endpoint) || _open.ContainsKey(endpoint))
            {
                return;
            }

            kind = _table.KindOf(endpoint) ?? DoorKind.Http;
        }

        // Only where nodes share a machine may the previous owner's be just closing; else the others wait for nothing.
        var patience = realAddresses ? TimeSpan.Zero : BindPatience;
        var opening = kind == DoorKind.Tcp
            ? tcp.OpenAsync(endpoint, patience, stopping)
            : kind == DoorKind.Https ? http.OpenTlsAsync(endpoint, patience, stopping)
            : http.OpenAsync(endpoint, patience, stopping);
        if (await opening.ConfigureAwait(false) is { } problem)
        {
            Refused(endpoint, problem);
            return;
        }

        lock (_gate)
        {
            _open[endpoint] = kind;
            if (_refused.Remove(endpoint))
            {
                log($"the front door {endpoint} is open now");
                SayWhatIsShut();
            }

            if (IsOfAnotherKind(endpoint))
            {
                Then(() => ReopenAsync(endpoint));
            }
        }
    }

    private void Refused(PublicEndpoint endpoint, string problem)
    {
        var tries = 0;
        lock (_gate)
        {
            if (_refused.TryGetValue(endpoint, out var before))
            {
                tries = before.Tries + 1;
                _refused[endpoint] = before with { Tries = tries };
            }
        }

        if (tries % LookEvery == 0)
        {
            var what = PortHolder.Find(endpoint.Address, endpoint.Port) is { } holder ? $"{problem}; {holder} probably has it" : problem;
            lock (_gate)
            {
                if (!_refused.TryGetValue(endpoint, out var told) || told.What != what)
                {
                    log($"the front door {endpoint} cannot be opened, and is tried again each second: {what}");
                }

                _refused[endpoint] = (what, tries);
                SayWhatIsShut();
            }
        }

        lock (_gate)
        {
            if (!_retrying)
            {
                _retrying = true;
                _ = RetryAsync();
            }
        }
    }

    private async Task RetryAsync()
    {
        while (true)
        {
            await Task.Delay(RetryPeriod, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            List<PublicEndpoint> again;
            lock (_gate)
            {
                foreach (var endpoint in _refused.Keys.Except(_wanted).ToList())
                {
                    _refused.Remove(endpoint);
                }

                again = [.. _refused.Keys];
                if (again.Count == 0 || stopping.IsCancellationRequested)
                {
                    _retrying = false;
                    return;
                }
            }

            foreach (var endpoint in again)
            {
                await Then(() => OpenAsync(endpoint)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Under the lock.</summary>
    private void SayWhatIsShut()
    {
        if (!realAddresses)
        {
            return;
        }

        List<ShutDoor> now = [.. from route in _table.Routes where _refused.ContainsKey(route.Listen)
            group route.Listen by route.Vip into doors orderby doors.Key
            let different = doors.Distinct().ToList()
            select new ShutDoor(doors.Key, $"{_refused[different[0]].What}{(different.Count > 1 ? $" (and {different.Count - 1} more doors)" : "")}")];
        if (!now.SequenceEqual(_shut))
        {
            _shut = now;
        }
    }

    /// <summary>The file has made another kind of door of a port: its listener is another one.</summary>
    private bool IsOfAnotherKind(PublicEndpoint endpoint) =>
        _open.TryGetValue(endpoint, out var open) && _table.KindOf(endpoint) is { } kind && kind != open;

    private async Task ReopenAsync(PublicEndpoint endpoint)
    {
        // Looked at again in its turn: it may have been done already, or be of its old kind again.
        lock (_gate)
        {
            if (!IsOfAnotherKind(endpoint))
            {
                return;
            }
        }

        await CloseAsync(endpoint).ConfigureAwait(false);
        await OpenAsync(endpoint).ConfigureAwait(false);
    }

    private async Task CloseAsync(PublicEndpoint endpoint)
    {
        await http.CloseAsync(endpoint).ConfigureAwait(false);
        await tcp.CloseAsync(endpoint).ConfigureAwait(false);
        lock (_gate)
        {
            _open.Remove(endpoint);
        }
    }
}
