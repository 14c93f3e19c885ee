using System.Net;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Health;

namespace Evenkeel.Services.Process;

/// <summary>One instance on this node: launched through the guard, checked, restarted with back-off, stopped in order.</summary>
internal sealed class ProcessInstance : IAsyncDisposable
{
    internal static readonly TimeSpan KillPatience = TimeSpan.FromSeconds(5);
    private readonly IGuardLink _guard;
    private readonly string _logFile;
    private readonly RoleMemo _memo;
    private readonly Action<InstanceFacts> _report;
    private readonly Lock _gate = new();
    private readonly Backoff _backoff = new();
    private TaskCompletionSource<Launched>? _launching;
    private TaskCompletionSource _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenSource? _checking;
    private DateTime _startedAt;
    private long _startsUntil; // by the machine's own clock: so long it may take to become healthy
    private bool _wanted, _unkillable;
    private InstanceOrder? _replacement;

    public ProcessInstance(InstanceOrder order, IGuardLink guard, string logFile, RoleMemo memo, Action<InstanceFacts> report)
    {
        _memo = memo;
        Order = order;
        _guard = guard;
        _logFile = logFile;
        _report = report;
        Facts = new InstanceFacts(order.Spec.Name, InstanceStatus.Stopped, Core.Model.Health.Unknown);
    }

    public InstanceOrder Order { get; private set; }
    public InstanceFacts Facts { get; private set; }
    public string? WorkingDirectory => Driver.WorkingDirectory is { } directory ? Placeholders.Fill(directory, Order) : null;
    private ProcessDriverSpec Driver => (ProcessDriverSpec)Order.Spec.Driver;

    /// <summary>The same work under the same right: nothing to restart.</summary>
    public bool IsFor(InstanceOrder order) => Request(order).SameAs(Request(Order)) && Equals(order.Epoch, Order.Epoch);

    /// <summary>The same process goes on under another version of the spec: its checks are the new ones.</summary>
    public ProcessInstance Take(InstanceOrder order)
    {
        lock (_gate)
        {
            if (order.Version != Order.Version)
            {
                Order = order;
                if (Facts is { Status: InstanceStatus.Running, ProcessId: not null })
                {
                    BeginChecks();
                }
            }
        }

        return this;
    }

    public ProcessInstance ReplaceWith(InstanceOrder order)
    {
        _replacement = order;
        return this;
    }

    public async Task<ActionResult> StartAsync(RunningInstance? left, CancellationToken cancellation)
    {
        if (_replacement is { } replacement)
        {
            _replacement = null;
            var stopped = await StopAsync(cancellation).ConfigureAwait(false);
            if (!stopped.Succeeded)
            {
                return stopped;
            }

            Order = replacement;
        }

        lock (_gate)
        {
            if (_wanted && Facts.Status is InstanceStatus.Running or InstanceStatus.Starting)
            {
                return ActionResult.Success;
            }

            _wanted = true;
        }

        if (left is not null)
        {
            if (left.Request.SameAs(Request(Order)))
            {
                OnAdopted(left);
                return ActionResult.Success;
            }

            // Another command or right than now: it ends in order first, for the guard runs one instance of a name.
            lock (_gate)
            {
                _exited = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                Set(Facts with { Status = InstanceStatus.Running, ProcessId = left.ProcessId, Epoch = left.Lease?.Epoch });
            }

            var stopped = await StopAsync(cancellation).ConfigureAwait(false);
            if (!stopped.Succeeded)
            {
                return stopped;
            }

            lock (_gate)
            {
                _wanted = true;
            }
        }

        return await LaunchAsync(cancellation).ConfigureAwait(false);
    }

    /// <summary>Ends it, by SIGKILL where its signal does not. What survives even that is stuck until it has ended: the next stop waits again.</summary>
    public async Task<ActionResult> StopAsync(CancellationToken cancellation)
    {
        Task? launching;
        lock (_gate)
        {
            _wanted = false;
            launching = _launching?.Task;
        }

        // A launch under way cannot be called back; it ends first, then the process does.
        if (launching is not null && !await EndsWithin(launching, Driver.StartTimeout, cancellation).ConfigureAwait(false))
        {
            return ActionResult.Failure("the guard did not answer its launch");
        }

        Task exited;
        bool killed;
        lock (_gate)
        {
            _wanted = false;
            _checking?.Cancel();
            if (Facts.ProcessId is null)
            {
                Set(Facts with { Status = InstanceStatus.Stopped, Health = Core.Model.Health.Unknown });
                return ActionResult.Success;
            }

            exited = _exited.Task;
            killed = _unkillable;
            if (!killed)
            {
                Set(Facts with { Status = InstanceStatus.Stopping });
            }
        }

        if (!killed)
        {
            _guard.Send(new Signal(Order.Spec.Name, SignalNumbers.Of(Driver.StopSignal), Tree: false));
            if (await EndsWithin(exited, Driver.StopTimeout, cancellation).ConfigureAwait(false))
            {
                return ActionResult.Success;
            }
        }

        _guard.Send(new Signal(Order.Spec.Name, 9, Tree: true));
        return await EndsWithin(exited, KillPatience, cancellation).ConfigureAwait(false) ? ActionResult.Success : BecomeUnkillable(null);
    }

    // Of what may run on several nodes at once, what is left does no harm elsewhere.
    private ActionResult BecomeUnkillable(int? left)
    {
        lock (_gate)
        {
            if (Facts.ProcessId is not { } process || (left is not null && left != process))
            {
                return ActionResult.Success; // It has ended meanwhile.
            }

            _unkillable = true;
            _checking?.Cancel();
            var reason = left is null ? UnkillableProcess.Main(process) : UnkillableProcess.Left;
            var exclusive = Order.Spec is { Activity: Activity.SingleActive } or { Requires: Requirement.Fencing };
            Set(Facts with { Status = exclusive ? InstanceStatus.Stuck : InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Detail = reason });
            return ActionResult.Failure(reason);
        }
    }

    /// <summary>The file's command makes it the active one; what a failed one left behind nobody knows, so the process is ended.</summary>
    public async Task<ActionResult> PromoteAsync(Epoch epoch, CancellationToken cancellation)
    {
        lock (_gate)
        {
            if (Facts is not { Status: InstanceStatus.Running, ProcessId: { } process })
            {
                return ActionResult.Failure("it does not run");
            }

            _memo.Write(epoch, process);
        }

        return await RunAsync(Driver.Promote, "promote", epoch, cancellation).ConfigureAwait(false);
    }

    public async Task<ActionResult> DemoteAsync(CancellationToken cancellation)
    {
        var demoted = await RunAsync(Driver.Demote, "demote", null, cancellation).ConfigureAwait(false);
        if (demoted.Succeeded)
        {
            _memo.Clear();
        }

        return demoted;
    }

    public void OnLaunched(Launched launched)
    {
        TaskCompletionSource<Launched>? launching;
        lock (_gate)
        {
            // Here and not in the continuation: the exit of a process that fails at once is the guard's very next message.
            if (launched.ProcessId != 0)
            {
                BecomeRunning(launched.ProcessId, TimeSpan.Zero);
            }

            launching = _launching;
        }

        launching?.TrySetResult(launched);
    }

    public void OnAdopted(RunningInstance running)
    {
        TaskCompletionSource<Launched>? launching;
        lock (_gate)
        {
            // What could not be ended is still there.
            if (_unkillable && Facts.ProcessId == running.ProcessId)
            {
                return;
            }

            _wanted = true;
            if (Facts.ProcessId != running.ProcessId || Facts.Status != InstanceStatus.Running)
            {
                BecomeRunning(running.ProcessId, AgeOf(running.ProcessId));
            }

            launching = _launching;
        }

        // A launch that this guard never got, or whose answer was lost with the pipe.
        launching?.TrySetResult(new Launched(running.Instance, running.ProcessId, null));
    }

    public void OnGone(string reason)
    {
        if (Facts.ProcessId is { } id)
        {
            OnExited(new Exited(Order.Spec.Name, id, -1), reason);
        }
    }

    public void OnExited(Exited exited)
    {
        if (exited.Left)
        {
            _ = BecomeUnkillable(exited.ProcessId);
        }
        else
        {
            OnExited(exited, exited.ExitCode > 128 ? $"ended by signal {exited.ExitCode - 128}" : $"ended with exit code {exited.ExitCode}");
        }
    }

    public ValueTask DisposeAsync()
    {
        _checking?.Cancel();
        return ValueTask.CompletedTask;
    }

    private void OnExited(Exited exited, string reason)
    {
        lock (_gate)
        {
            if (Facts.ProcessId != exited.ProcessId)
            {
                return;
            }

            _unkillable = false;
            _checking?.Cancel();
            var ranFor = DateTime.UtcNow - _startedAt;
            _exited.TrySetResult();
            _memo.Clear();
            if (!_wanted)
            {
                Set(Facts with { Status = InstanceStatus.Stopped, Health = Core.Model.Health.Unknown, ProcessId = null, Detail = "", Epoch = Order.Epoch });
                return;
            }

            Set(Facts with { Status = InstanceStatus.Failed, Epoch = Order.Epoch, Health = Core.Model.Health.Unhealthy, ProcessId = null, Detail = reason, Restarts = Facts.Restarts + 1 });
            _ = RestartAsync(_backoff.Next(ranFor));
        }
    }

    private async Task RestartAsync(TimeSpan pause)
    {
        await Task.Delay(pause).ConfigureAwait(false);
        if (_wanted && Facts.ProcessId is null)
        {
            await LaunchAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task<ActionResult> LaunchAsync(CancellationToken cancellation)
    {
        var launching = new TaskCompletionSource<Launched>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            // The loop's order and our own restart may meet: the guard would refuse the second, and a running process would
            // be called failed.
            if (_unkillable)
            {
                return ActionResult.Failure(Facts.Detail);
            }

            if (!_wanted || Facts.ProcessId is not null || Facts.Status == InstanceStatus.Starting)
            {
                return _wanted ? ActionResult.Success : ActionResult.Failure("it is being stopped");
            }

            _launching = launching;
            Set(Facts with { Status = InstanceStatus.Starting, Health = Core.Model.Health.Unknown, Epoch = Order.Epoch });
        }

        _guard.Send(new Launch(Request(Order)));
        Launched launched;
        try
        {
            launched = await launching.Task.WaitAsync(Driver.StartTimeout, cancellation).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return Failed("the guard did not start it in time");
        }

        return launched.ProcessId == 0 ? Failed(launched.Error ?? "it could not be started") : ActionResult.Success;
    }

    private ActionResult Failed(string reason)
    {
        lock (_gate)
        {
            Set(Facts with { Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Detail = reason, ProcessId = null });
        }

        return ActionResult.Failure(reason);
    }

    /// <summary>The process is there; whether it serves is what its checks say. Without checks it counts as healthy.</summary>
    private void BecomeRunning(int process, TimeSpan age)
    {
        _startedAt = DateTime.UtcNow;
        _startsUntil = Environment.TickCount64 + (long)(Driver.StartTimeout - age).TotalMilliseconds;
        _exited = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Set(Facts with { Status = InstanceStatus.Running, ProcessId = process, Epoch = Order.Epoch ?? _memo.Of(process), Detail = "", Health = Core.Model.Health.Unknown, Version = Order.Version });
        BeginChecks();
    }

    private static TimeSpan AgeOf(int process)
    {
        try
        {
            using var found = System.Diagnostics.Process.GetProcessById(process);
            var age = DateTime.UtcNow - found.StartTime.ToUniversalTime();
            return age > TimeSpan.Zero ? age : TimeSpan.Zero;
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // Gone again: its exit is the guard's next message.
            return TimeSpan.Zero;
        }
    }

    private void BeginChecks()
    {
        _checking?.Cancel();
        _checking = new CancellationTokenSource();
        var target = Order.Private?.ToIPEndPoint() ?? (Driver.Port is { } port ? new IPEndPoint(Order.Node.Private[0], port) : null);
        if (Probes.For(Order.Spec.Health, target, WorkingDirectory) is { } probe)
        {
            Set(Facts with { Version = Order.Version });
            _ = CheckAsync(probe, Order.Spec.Health!, _checking.Token);
        }
        else
        {
            Set(Facts with { Version = Order.Version, Health = Core.Model.Health.Healthy });
        }
    }

    private async Task CheckAsync(IProbe probe, HealthSpec health, CancellationToken stop)
    {
        var hysteresis = new Hysteresis(health.Rise, health.Fall);
        using var owned = probe as IDisposable;
        using var timer = new PeriodicTimer(health.Every);
        try
        {
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
                limit.CancelAfter(health.Timeout);
                var began = Environment.TickCount64;
                string? problem;
                try
                {
                    problem = await probe.CheckAsync(limit.Token).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (!stop.IsCancellationRequested)
                {
                    // A verdict that came far too late says that this agent was starved, not that the instance is ill.
                    if (Environment.TickCount64 - began > 3 * health.Timeout.TotalMilliseconds)
                    {
                        continue;
                    }

                    problem = $"no answer within {health.Timeout.TotalMilliseconds:0} ms";
                }

                var starting = Environment.TickCount64 < _startsUntil;
                var changed = hysteresis.Observe(problem is null, starting);
                // What a start waits for is worth knowing too.
                changed |= starting && hysteresis.Health == Core.Model.Health.Unknown && problem is not null && problem != Facts.Detail;
                if (changed)
                {
                    lock (_gate)
                    {
                        if (!stop.IsCancellationRequested)
                        {
                            Set(Facts with { Health = hysteresis.Health, Detail = problem ?? "" });
                        }
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It ended, or is being stopped.
        }
    }

    private async Task<ActionResult> RunAsync(IReadOnlyList<string>? command, string what, Epoch? becomes, CancellationToken cancellation)
    {
        string? problem = null;
        if (command is not null)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(Driver.StartTimeout);
            try
            {
                problem = await new ScriptProbe([.. command.Select(word => Placeholders.Fill(word, Order))], WorkingDirectory).CheckAsync(limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                problem = $"it took longer than {Driver.StartTimeout.TotalSeconds:0.#} s";
            }
        }

        if (problem is null)
        {
            lock (_gate)
            {
                if (Facts is { Status: InstanceStatus.Running, ProcessId: not null })
                {
                    Set(Facts with { Epoch = becomes });
                    return ActionResult.Success;
                }
            }

            problem = "it ended meanwhile";
        }

        await StopAsync(cancellation).ConfigureAwait(false);
        return ActionResult.Failure($"{what}: {problem}");
    }

    private LaunchRequest Request(InstanceOrder order)
    {
        var driver = (ProcessDriverSpec)order.Spec.Driver;
        return new LaunchRequest
        {
            Instance = order.Spec.Name,
            Lease = order.Epoch is { } epoch ? new HeldLease(ResourceId.Service(order.Spec.Name), epoch) : null,
            Command = Preparation.Before(driver.Prepare?.Select(word => Placeholders.Fill(word, order)), [.. driver.Command.Select(word => Placeholders.Fill(word, order))]),
            Environment = driver.Environment.ToDictionary(pair => pair.Key, pair => Placeholders.Fill(pair.Value, order)),
            WorkingDirectory = driver.WorkingDirectory is { } directory ? Placeholders.Fill(directory, order) : null,
            User = driver.User,
            LogFile = _logFile,
        };
    }

    private static async Task<bool> EndsWithin(Task task, TimeSpan time, CancellationToken cancellation)
    {
        try
        {
            await task.WaitAsync(time, cancellation).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private void Set(InstanceFacts facts)
    {
        if (facts != Facts)
        {
            Facts = facts;
            _report(facts);
        }
    }
}
