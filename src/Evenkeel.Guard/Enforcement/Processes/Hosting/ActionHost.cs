using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes.Hosting;

// Some services are not one process but what a set of actions leaves behind (OCF resource agents). The guard ends trees, so
// the actions must run in one: this host is the tree's main process, and runs what the driver asks for. It adopts every orphan
// of its descendants (PR_SET_CHILD_SUBREAPER), so that a daemon stays in the tree also where there are no cgroups.
// (Rejected: the agent moves each action into the cgroup itself - then what starts while the lease ends could slip through.)

/// <summary>The guard binary's mode <c>host SOCKET INSTANCE</c>. Runs until the guard ends it.</summary>
internal sealed unsafe class ActionHost(string socketPath, string instance)
{
    private const int ReconnectMilliseconds = 100, ReapMilliseconds = 1000, MostWaiting = 64;
    private readonly Queue<RunAction> waiting = new();
    private readonly List<OutputTap> leftOpen = [];
    private readonly List<HostMessage> messages = [];
    private HostedAction? running;
    private HostSocket? driver;
    private string memo = "";

    public static int Run(string socketPath, string instance)
    {
        _ = Libc.prctl(Libc.SetChildSubreaper, 1, 0, 0, 0);
        new ActionHost(socketPath, instance).Loop();
        return 0;
    }

    private void Loop()
    {
        while (true)
        {
            if (driver is null) Connect();
            StartNext();
            Wait();
            running?.Watch();
            Reap();
        }
    }

    private void Connect()
    {
        driver = HostSocket.Connect(socketPath);
        if (driver is not null) Tell(new HostHello(instance, Libc.getpid(), memo, running is not null || waiting.Count > 0));
    }

    private void StartNext()
    {
        while (running is null && waiting.TryDequeue(out var next))
        {
            running = HostedAction.Start(next, out var failure);
            if (failure is not null) Tell(failure);
        }
    }

    private void Wait()
    {
        var entries = stackalloc PollEntry[8 + leftOpen.Count];
        var count = 0;
        void Add(PollEntry* into, int descriptor)
        {
            if (descriptor >= 0) into[count++] = new PollEntry { Descriptor = descriptor, Wanted = PollEntry.In };
        }
        if (driver is not null) Add(entries, driver.Descriptor);
        var first = count;
        if (running is not null)
        {
            Add(entries, running.ExitDescriptor);
            Add(entries, running.Output.Descriptor);
            Add(entries, running.Errors.Descriptor);
        }
        foreach (var tap in leftOpen) Add(entries, tap.Descriptor);
        var wait = driver is null ? ReconnectMilliseconds : ReapMilliseconds;
        if (running is not null) wait = Math.Min(wait, running.ExitDescriptor < 0 ? 10 : running.MillisecondsLeft);
        _ = Libc.poll(entries, (nuint)count, wait);
        running?.Output.Read();
        running?.Errors.Read();
        foreach (var tap in leftOpen) tap.Read();
        leftOpen.RemoveAll(tap => tap.Descriptor < 0);
        if (first > 0 && entries[0].Got != 0) Hear();
    }

    private void Hear()
    {
        messages.Clear();
        var alive = driver!.Receive(messages);
        foreach (var message in messages) Do(message);
        if (alive) return;
        waiting.Clear(); // Nobody asks for them any more.
        driver?.Dispose();
        driver = null;
    }

    private void Do(HostMessage message)
    {
        switch (message)
        {
            case RunAction run when waiting.Count >= MostWaiting: Tell(HostedAction.Failed(run, "too many actions wait")); break;
            case RunAction run: waiting.Enqueue(run); break;
            case Remember remember: memo = remember.Memo; break;
            case CancelAction cancel when running?.Request.Id == cancel.Id: running.Kill(); break;
            case CancelAction cancel:
                var others = waiting.Where(one => one.Id != cancel.Id).ToList();
                foreach (var cancelled in waiting.Where(one => one.Id == cancel.Id)) Tell(HostedAction.Failed(cancelled, "cancelled"));
                waiting.Clear();
                foreach (var one in others) waiting.Enqueue(one);
                break;
        }
    }

    private void Reap()
    {
        int status;
        for (int ended; (ended = Libc.waitpid(-1, &status, Libc.WaitNoHang)) > 0;)
        {
            if (running is null || ended != running.Process) continue; // An orphan.
            Tell(running.End((status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)));
            leftOpen.AddRange(new[] { running.Output, running.Errors }.Where(tap => tap.Descriptor >= 0));
            running = null;
        }
    }

    private void Tell(HostMessage message)
    {
        if (driver is null || driver.Send(message)) return;
        driver.Dispose();
        driver = null;
    }
}
