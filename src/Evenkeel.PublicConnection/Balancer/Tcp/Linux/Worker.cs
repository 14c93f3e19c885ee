using System.Collections.Concurrent;
using System.Net;
using System.Runtime.InteropServices;
using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Tcp.Linux;

/// <summary>One thread, one epoll, and the connections that live on it. Only <see cref="Post"/> and <see cref="Count"/> are for other threads.</summary>
internal sealed unsafe class Worker : IDisposable
{
    public const int BufferBytes = 64 * 1024;
    private const int MostEvents = 256, MostPipes = 64, MostAccepts = 32, TickMilliseconds = 20, SettleMilliseconds = 5_000;
    // How many more connections than the least busy worker one may have before it hands new ones over.
    private const int Unevenness = 4;
    private const ulong Wake = ulong.MaxValue, ListenerBit = 1UL << 63;

    private readonly EpollEngine engine;
    private readonly int wakeup;
    private readonly byte* events;
    private readonly ConcurrentQueue<Action<Worker>> inbox = new();
    private readonly Dictionary<int, Listener> listeners = [];
    private readonly List<Listener> closing = [];
    private readonly List<Relay?> slots = [];
    private readonly Stack<int> free = new();
    private readonly HashSet<Relay> young = [];
    private readonly Stack<Pipe> pipes = new();
    private readonly Thread thread;
    private Queue<Relay> again = new();
    private uint generation;
    private int count, nextListener;
    private bool stopping;
    private long tickedAt, settledAt;
    private bool unsettled;

    public Worker(EpollEngine engine, BackendPool pool, TcpBalancerOptions options, int number)
    {
        (this.engine, Pool, Options) = (engine, pool, options);
        Epoll = Sys.NewEpoll();
        wakeup = Sys.NewEvent();
        if (Epoll < 0 || wakeup < 0 || !Sys.Watch(Epoll, wakeup, Sys.In, Wake)) throw new IOException($"no epoll for the TCP balancer: errno {Sys.LastError}");
        Buffer = (byte*)NativeMemory.Alloc(BufferBytes);
        events = (byte*)NativeMemory.Alloc((nuint)(MostEvents * Sys.EventBytes));
        thread = new Thread(Run) { IsBackground = true, Name = $"tcp-balancer-{number}" };
    }

    public BackendPool Pool { get; }
    public TcpBalancerOptions Options { get; }
    public int Epoll { get; }
    public byte* Buffer { get; }
    public int Count => Volatile.Read(ref count);

    public void Start() => thread.Start();

    /// <summary>Runs on the worker's thread, soon and in order.</summary>
    public void Post(Action<Worker> act)
    {
        inbox.Enqueue(act);
        Sys.Signal(wakeup);
    }

    public void Open(Listener listener)
    {
        var number = nextListener++;
        listeners[number] = listener;
        // Exclusive: one client wakes one worker.
        Sys.Watch(Epoll, (int)listener.Socket.Handle, Sys.In | Sys.Exclusive, ListenerBit | (uint)number);
    }

    public void Close(Listener listener)
    {
        foreach (var number in listeners.Where(pair => pair.Value == listener).Select(pair => pair.Key).ToList())
        {
            listeners.Remove(number);
            Sys.Unwatch(Epoll, (int)listener.Socket.Handle);
        }
        closing.Add(listener);
    }

    public void Cut(Backend backend)
    {
        foreach (var relay in slots.ToArray())
            if (relay?.Backend == backend) relay.Lose();
    }

    public void Abandon(Listener listener)
    {
        foreach (var relay in slots.ToArray())
            if (relay?.Listener == listener) relay.Close(reset: true);
    }

    public void Adopt(Listener listener, int client, IPEndPoint peer)
    {
        var slot = free.Count > 0 ? free.Pop() : slots.Count;
        if (slot == slots.Count) slots.Add(null);
        var relay = new Relay(this, listener, client, peer) { Slot = slot, Generation = ++generation };
        slots[slot] = relay;
        Interlocked.Increment(ref count);
        Remember(relay);
        unsettled = true;
        relay.Begin();
    }

    public static ulong Data(Relay relay, bool fromBackend) => (ulong)(relay.Generation & 0x7fffffff) << 32 | (uint)relay.Slot << 1 | (fromBackend ? 1u : 0u);

    public void Remember(Relay relay) => young.Add(relay);
    public void Again(Relay relay) => again.Enqueue(relay);
    public int Waiting(RoutePool route) => young.Count(relay => relay.WaitsFor(route));

    public void Forget(Relay relay)
    {
        slots[relay.Slot] = null;
        free.Push(relay.Slot);
        young.Remove(relay);
        Interlocked.Decrement(ref count);
    }

    public Pipe? TakePipe() => pipes.Count > 0 ? pipes.Pop() : Pipe.New();

    public void Return(Pipe pipe)
    {
        if (pipes.Count < MostPipes) pipes.Push(pipe);
        else pipe.Close();
    }

    public void Dispose()
    {
        if (thread.IsAlive)
        {
            Post(static worker => worker.stopping = true);
            thread.Join();
        }
        foreach (var relay in slots.ToArray()) relay?.Close(reset: true);
        foreach (var pipe in pipes) pipe.Close();
        Sys.Close(wakeup);
        Sys.Close(Epoll);
        NativeMemory.Free(Buffer);
        NativeMemory.Free(events);
    }

    private void Run()
    {
        while (!stopping)
        {
            var patience = again.Count > 0 ? 0 : young.Count > 0 || closing.Count > 0 ? TickMilliseconds : unsettled ? SettleMilliseconds : -1;
            var happened = Sys.Wait(Epoll, events, MostEvents, patience);
            for (var i = 0; i < happened; i++) Handle(*(uint*)(events + i * Sys.EventBytes), *(ulong*)(events + i * Sys.EventBytes + Sys.EventDataOffset));
            if (again.Count > 0) CarryOn();
            if (young.Count > 0 || closing.Count > 0) Tick();
            if (unsettled) Settle();
        }
    }

    private void Handle(uint what, ulong data)
    {
        if (data == Wake)
        {
            Sys.ClearSignal(wakeup);
            while (inbox.TryDequeue(out var act)) act(this);
            return;
        }
        if ((data & ListenerBit) != 0)
        {
            if (listeners.TryGetValue((int)(uint)data, out var listener)) Accept(listener);
            return;
        }
        var slot = (int)((uint)data >> 1);
        // A connection that was closed earlier in this batch may still have events in it.
        if (slot < slots.Count && slots[slot] is { } relay && (relay.Generation & 0x7fffffff) == data >> 32) relay.Happened(what, (data & 1) != 0);
    }

    private void Accept(Listener listener)
    {
        var address = stackalloc byte[28];
        for (var i = 0; i < MostAccepts; i++)
        {
            var client = Sys.Accept((int)listener.Socket.Handle, address);
            if (client < 0)
            {
                // Without descriptors the queue stays full and epoll would call at once again.
                if (Sys.LastError is Sys.ErrorTooManyFiles or Sys.ErrorTableFull) Thread.Sleep(TickMilliseconds);
                return;
            }
            listener.CountAccepted();
            if (SocketAddresses.Read(address) is not { } peer) Sys.Close(client);
            else if (engine.LessBusyThan(this, Unevenness) is { } other) other.Post(worker => worker.Adopt(listener, client, peer));
            else Adopt(listener, client, peer);
        }
    }

    private void CarryOn()
    {
        (var now, again) = (again, new Queue<Relay>());
        foreach (var relay in now)
            if (!relay.Closed) relay.Carry();
    }

    private void Settle()
    {
        var now = Environment.TickCount64;
        if (now - settledAt < SettleMilliseconds) return;
        settledAt = now;
        unsettled = false;
        foreach (var relay in slots)
        {
            relay?.Settle();
            unsettled |= relay is { Settled: false };
        }
    }

    private void Tick()
    {
        var now = Environment.TickCount64;
        if (now - tickedAt < TickMilliseconds) return;
        tickedAt = now;
        foreach (var relay in young.ToArray())
        {
            if (relay.Young) relay.Tick(now);
            if (!relay.Young) young.Remove(relay);
        }
        foreach (var listener in closing.Where(one => one.CutAt <= now).ToArray())
        {
            foreach (var relay in slots.ToArray())
                if (relay?.Listener == listener) relay.Close(reset: true);
            closing.Remove(listener);
        }
    }
}
