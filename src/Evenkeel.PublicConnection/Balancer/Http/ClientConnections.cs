using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// A door's connections, so that they can be ended in order before its address moves: idle ones at once, those with a request
/// when it is answered (<c>Connection: close</c>, GOAWAY), new ones after their first.
/// </summary>
internal sealed class ClientConnections
{
    private readonly ConcurrentDictionary<ClientConnection, bool> open = new();
    private volatile bool leaving;

    public bool Leaving => leaving;
    public bool IsEmpty => open.IsEmpty;

    public async Task CarryAsync(ConnectionContext context, ConnectionDelegate next)
    {
        var connection = new ClientConnection(this, context);
        open.TryAdd(connection, true);
        context.Features.Set(connection);
        try
        {
            await next(context).ConfigureAwait(false);
        }
        finally
        {
            open.TryRemove(connection, out _);
        }
    }

    public void Leave()
    {
        leaving = true;
        foreach (var connection in open.Keys) connection.LeaveIfUsed();
    }

    public void Stay() => leaving = false;

    /// <summary>Those that are there now end with a reset, soon.</summary>
    public void Abandon()
    {
        var there = open.Keys;
        // Elsewhere: what hears of the end may run at once.
        if (there.Count > 0) ThreadPool.UnsafeQueueUserWorkItem(static all =>
        {
            foreach (var connection in all) connection.Abort();
        }, there, preferLocal: false);
    }

    internal sealed class ClientConnection(ClientConnections all, ConnectionContext context)
    {
        private volatile bool used;

        /// <summary>What was said of this client to an instance last: the same again, as a rule.</summary>
        public ForwardedHeaders.Said? Said { get; set; }

        /// <summary>A request of it begins.</summary>
        public void Begin()
        {
            used = true;
            if (all.leaving) LeaveIfUsed();
        }

        public void Abort() => context.Abort(new ConnectionAbortedException("the address has gone elsewhere"));

        // One that was just made has a request on its way, which is answered before it ends.
        public void LeaveIfUsed()
        {
            if (used) context.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        }
    }
}
