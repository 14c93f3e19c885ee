using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Evenkeel.PublicConnection.Balancer.Tcp;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The balancer's listeners. Where VIPs are real addresses, every listener is bound at once and stays (takeover is only an
/// address move); where a VIP is a listener, it opens and closes with the lease.
/// </summary>
internal sealed class FrontDoors(HttpBalancer http, TcpBalancer tcp, bool realAddresses, Action<string> log, CancellationToken stopping)
{
    private static readonly TimeSpan BindPatience = TimeSpan.FromSeconds(2);
    private readonly Lock _gate = new();
    private readonly HashSet<PublicEndpoint> _wanted = [];
    private readonly Dictionary<PublicEndpoint, DoorKind> _open = [];
    private RouteTable _table = RouteTable.Empty;
    private Task _work = Task.CompletedTask;

    /// <summary>A VIP may come: its listeners are bound, or will be as it comes.</summary>
    public bool Ready
    {
        get
        {
            lock (_gate)
            {
                return _table.Version > 0 && (!realAddresses || _wanted.SetEquals(_open.Keys));
            }
        }
    }

    /// <summary>What the balancers still have under way with instances that get nothing new.</summary>
    public IReadOnlyList<Carried> Finishing => [.. http.Finishing.Concat(tcp.Finishing).Distinct()];

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
        }
    }

    /// <summary>The lease of a VIP that is a listener is held.</summary>
    public void Open(ListenerEnforcement listener)
    {
        foreach (var port in listener.Ports)
        {
            var endpoint = new PublicEndpoint(IPAddress.Parse(listener.Address), port);
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
            kind = _table.KindOf(endpoint) ?? DoorKind.Http;
        }

        var opening = kind == DoorKind.Tcp
            ? tcp.OpenAsync(endpoint, BindPatience, stopping)
            : kind == DoorKind.Https ? http.OpenTlsAsync(endpoint, BindPatience, stopping)
            : http.OpenAsync(endpoint, BindPatience, stopping);
        if (await opening.ConfigureAwait(false) is { } problem)
        {
            log($"the front door {endpoint} cannot be opened: {problem}");
            return;
        }

        lock (_gate)
        {
            _open[endpoint] = kind;
            if (IsOfAnotherKind(endpoint))
            {
                Then(() => ReopenAsync(endpoint));
            }
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
