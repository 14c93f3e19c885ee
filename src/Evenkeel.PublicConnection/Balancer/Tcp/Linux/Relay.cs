using System.Net;
using Evenkeel.PublicConnection.Balancer.Choice;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Preface;

namespace Evenkeel.PublicConnection.Balancer.Tcp.Linux;

/// <summary>One client's connection and the one to its destination; all of it happens on the thread of its worker.</summary>
internal sealed unsafe class Relay(Worker worker, Listener listener, int client, IPEndPoint accepted)
{
    private enum Stage { Preface, Waiting, Connecting, Carrying, Closed }

    private const int MostAttempts = 4;
    private const long RetryEvery = 100;

    private readonly Backend?[] tried = new Backend?[MostAttempts];
    private readonly Flow up = new(), down = new();
    private readonly long since = Environment.TickCount64;
    private Stage stage = Stage.Preface;
    // Who connected to us; and who the client is, which a trusted proxy may say.
    private readonly IPEndPoint peer = accepted;
    private IPEndPoint source = accepted;
    private RoutePool? route;
    private ulong key;
    private bool announced, entered, clientEnded, settled, lost;
    private int attempts, backendSocket = -1;
    private long attemptAt, waitUntil, retryAt;

    public Listener Listener => listener;
    public Backend? Backend { get; private set; }
    public int Slot { get; init; }
    public uint Generation { get; init; }
    public bool Closed => stage == Stage.Closed;
    /// <summary>It has a deadline that the worker's clock must look at.</summary>
    public bool Young => stage is Stage.Preface or Stage.Waiting or Stage.Connecting;

    public void Begin()
    {
        if (!Sys.Watch(worker.Epoll, client, Sys.In | Sys.Out | Sys.ReadHangUp | Sys.EdgeTriggered, Worker.Data(this, fromBackend: false)))
        {
            Close(reset: true);
            return;
        }
        ReadPreface();
    }

    public void Happened(uint events, bool fromBackend)
    {
        if (stage == Stage.Closed) return;
        var (from, to) = fromBackend ? (down, up) : (up, down);
        if ((events & (Sys.In | Sys.ReadHangUp | Sys.HangUp | Sys.Error)) != 0) from.Readable = true;
        if ((events & (Sys.Out | Sys.HangUp | Sys.Error)) != 0) to.Writable = true;
        if ((events & (Sys.ReadHangUp | Sys.HangUp)) != 0) from.EndSeen = true;
        if (!fromBackend && (events & (Sys.HangUp | Sys.Error)) != 0 && stage != Stage.Carrying)
        {
            Close(reset: true);
            return;
        }
        if (!fromBackend && (events & Sys.ReadHangUp) != 0) clientEnded = true;
        switch (stage)
        {
            case Stage.Preface: ReadPreface(); break;
            case Stage.Connecting when fromBackend: Connected(mayHaveFailed: (events & (Sys.Error | Sys.HangUp)) != 0); break;
            case Stage.Carrying: Carry(); break;
        }
    }

    /// <summary>Deadlines of what has not been connected yet.</summary>
    public void Tick(long now)
    {
        switch (stage)
        {
            case Stage.Preface when now - since > worker.Options.PrefaceTimeout.TotalMilliseconds:
                Close(reset: true);
                break;
            case Stage.Connecting when lost || now - attemptAt > worker.Options.ConnectTimeout.TotalMilliseconds:
                Failed();
                break;
            case Stage.Waiting when now >= waitUntil:
                listener.CountUnserved();
                Close(reset: true);
                break;
            case Stage.Waiting when now >= retryAt:
                Array.Clear(tried);
                attempts = 0;
                Connect();
                break;
        }
    }

    /// <summary>Its destination is lost. A client that has heard nothing of it yet goes to another one, or waits for one.</summary>
    public void Lose()
    {
        // At the next tick: an event of this socket may still be in the batch that is being worked on, and must not meet another one.
        if (stage == Stage.Connecting) lost = true;
        else Close(reset: true);
    }

    /// <summary>It has lasted: from now on its instance's silent end is looked for, which short connections need not pay for.</summary>
    public void Settle()
    {
        if (settled || stage != Stage.Carrying) return;
        settled = true;
        Sys.KeepAlive(backendSocket);
    }

    public bool Settled => settled;

    public void Carry()
    {
        long sent = 0, received = 0;
        var first = up.Pump(worker, client, backendSocket, ref sent);
        var second = first == FlowState.Broken ? FlowState.Broken : down.Pump(worker, backendSocket, client, ref received);
        Backend!.Carried(sent, received);
        if (first == FlowState.Broken || second == FlowState.Broken) Close(reset: true);
        else if (first == FlowState.Ended && second == FlowState.Ended) Close(reset: false);
        else if (first == FlowState.Unfinished || second == FlowState.Unfinished) worker.Again(this);
    }

    public void Close(bool reset)
    {
        if (stage == Stage.Closed) return;
        LeaveBackend(reset);
        stage = Stage.Closed;
        if (reset) Sys.ResetOnClose(client);
        Sys.Close(client);
        if (entered) route!.Clients.Leave(source.Address);
        worker.Forget(this);
    }

    private void ReadPreface()
    {
        var routes = listener.Routes;
        if (routes.Length == 0)
        {
            listener.CountUnserved();
            Close(reset: true);
            return;
        }
        if (!announced && !ReadAnnouncement(routes)) return;
        string? name = null;
        if (Routing.NeedsName(routes))
        {
            var length = Sys.Receive(client, worker.Buffer, ClientHello.MostBytes, Sys.Peek);
            if (!Peeked(length)) return;
            var read = ClientHello.Read(new ReadOnlySpan<byte>(worker.Buffer, (int)length), out name);
            if (read == PrefaceState.Incomplete && !clientEnded && length < ClientHello.MostBytes) return;
        }
        route = Routing.Find(routes, name);
        var now = Environment.TickCount64;
        if (route is null || !AddressLimits.Allows(route.Door, source.Address) || !route.Clients.TakeToken(route.Door, source.Address, now)
            || !(entered = route.Clients.TryEnter(route.Door, source.Address)))
        {
            Close(reset: true);
            return;
        }
        key = RendezvousHash.KeyOf(source.Address);
        waitUntil = now + (long)route.Door.WaitTimeout.TotalMilliseconds;
        Connect();
    }

    /// <summary>True when what follows is the client's own.</summary>
    private bool ReadAnnouncement(RoutePool[] routes)
    {
        if (Listener.MustAnnounce(routes, peer.Address))
        {
            var length = Sys.Receive(client, worker.Buffer, ProxyHeader.MostBytes, Sys.Peek);
            if (!Peeked(length)) return false;
            var state = ProxyHeader.Read(new ReadOnlySpan<byte>(worker.Buffer, (int)length), out var header, out var announcedClient);
            if (state == PrefaceState.Incomplete && !clientEnded) return false;
            if (state != PrefaceState.Complete || Sys.Receive(client, worker.Buffer, header, 0) != header)
            {
                Close(reset: true);
                return false;
            }
            source = announcedClient ?? peer;
        }
        return announced = true;
    }

    // False: nothing to read yet, or nothing any more.
    private bool Peeked(nint length)
    {
        if (length > 0) return true;
        if (length == 0 || Sys.LastError != Sys.ErrorAgain) Close(reset: length < 0);
        return false;
    }

    private void Connect()
    {
        while (attempts < MostAttempts)
        {
            var backend = route!.Choose(tried.AsSpan(0, attempts), key);
            if (backend is null) break;
            var again = attempts > 0;
            tried[attempts++] = backend;
            // One that is full is passed over like one that was tried.
            if (!backend.TryEnter(route.Door.MaxPerDestination, again)) continue;
            Backend = backend;
            var address = backend.Destination.Endpoint.ToIPEndPoint();
            backendSocket = Sys.NewSocket(address.AddressFamily);
            attemptAt = Environment.TickCount64;
            if (backendSocket >= 0)
            {
                Sys.LeaveAtOnce(backendSocket);
                Sys.LimitQueues(backendSocket);
                stage = Stage.Connecting;
                if ((Sys.Connect(backendSocket, address) == 0 || Sys.LastError == Sys.ErrorInProgress)
                    && Sys.Watch(worker.Epoll, backendSocket, Sys.In | Sys.Out | Sys.ReadHangUp | Sys.EdgeTriggered, Worker.Data(this, fromBackend: true)))
                {
                    worker.Remember(this);
                    return;
                }
            }
            worker.Pool.ConnectFailed(backend);
            LeaveBackend(reset: true);
        }
        Wait();
    }

    private void Wait()
    {
        var now = Environment.TickCount64;
        if (stage != Stage.Waiting && worker.Waiting(route!) >= route!.Door.MaxWaiting || now >= waitUntil)
        {
            listener.CountUnserved();
            Close(reset: true);
            return;
        }
        stage = Stage.Waiting;
        retryAt = now + RetryEvery;
        worker.Remember(this);
    }

    public bool WaitsFor(RoutePool other) => stage == Stage.Waiting && route == other;

    private void Connected(bool mayHaveFailed)
    {
        if (lost || mayHaveFailed && Sys.PendingError(backendSocket) != 0)
        {
            Failed();
            return;
        }
        Backend!.Succeeded();
        Backend.ShowLife();
        if (route!.Door.SendProxy != Core.Model.ProxyProtocol.None)
        {
            var length = ProxyHeader.Write(route.Door.SendProxy, source, listener.Local, new Span<byte>(worker.Buffer, 128));
            // A new connection's empty buffer takes it whole, or the connection is no use.
            if (Sys.Send(backendSocket, worker.Buffer, length) != length)
            {
                Failed();
                return;
            }
        }
        stage = Stage.Carrying;
        Array.Clear(tried);
        Carry();
    }

    private void Failed()
    {
        worker.Pool.ConnectFailed(Backend!);
        LeaveBackend(reset: true);
        Connect();
    }

    private void LeaveBackend(bool reset)
    {
        if (backendSocket >= 0)
        {
            if (reset) Sys.ResetOnClose(backendSocket);
            Sys.Close(backendSocket);
            backendSocket = -1;
            settled = lost = false;
        }
        up.Return(worker);
        down.Return(worker);
        (up.Writable, down.Readable, down.EndSeen) = (true, true, false);
        Backend?.Leave();
        Backend = null;
    }
}
