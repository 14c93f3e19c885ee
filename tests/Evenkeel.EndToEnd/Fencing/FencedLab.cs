using Evenkeel.Agent.Control;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Fencing;

/// <summary>
/// Three nodes in network namespaces that share a disk, and one writer of it: a unit that no guard can end (its systemctl is
/// scripted, the process that writes is real). Their fence device ends a node for real, as a power switch does.
/// </summary>
public class FencedLab : NamespaceLab
{
    public FencedLab() : this("f") { }

    protected FencedLab(string prefix) : base(prefix) { }

    private const string Unit = "evenkeel-lab-writer.service";
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-fence-").FullName;
    private readonly CancellationTokenSource over = new();
    private Task device = Task.CompletedTask;

    protected string Shared => At("shared");

    protected override string WorkingDirectory => directory;

    protected override string FileText => $$"""
        version: 1
        cluster: {{Name}}
        networks: { private: [10.77.0.0/24] }
        nodes:
          n1: { private: [10.77.0.11]{{DeviceOf("n1")}} }
          n2: { private: [10.77.0.12]{{DeviceOf("n2")}} }
          n3: { private: [10.77.0.13], role: witness }
        services:
          writer:
            {{Driver}}
            redundancy: cold
        timings: { agent_absence: 1s }
        """;

    /// <summary>What runs the writer.</summary>
    protected virtual string Driver => $"systemd: {{ unit: {Unit}, stop_timeout: 1s }}";

    protected virtual string DeviceOf(string node) => $", fence: {{ agent: {At("fence_lab")}, plug: {node}, time_limit: 20s, monitor: 1s }}";

    protected override IReadOnlyList<string> WrapperOf(NodeName node) => ["env", $"PATH={At("bin")}:{Environment.GetEnvironmentVariable("PATH")}", $"NODE={node}"];

    public override async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(At("bin"));
        Script("bin/systemctl", $$"""
            #!/bin/sh
            shift 2
            pid=$(cat {{At("$NODE.pid")}} 2>/dev/null)
            runs() { [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; }
            case "$1" in
              show) runs && a=active || a=inactive; printf 'LoadState=loaded\nActiveState=%s\nSubState=x\nResult=success\nMainPID=%s\nUnitFileState=disabled\n' $a "${pid:-0}";;
              start) runs || { setsid sh -c 'echo $$ > {{At("$NODE.pid")}}; while :; do echo $NODE >> {{Shared}}; sleep 0.02; done' >/dev/null 2>&1 </dev/null & }
                     while ! pid=$(cat {{At("$NODE.pid")}} 2>/dev/null) || ! runs; do sleep 0.01; done;;
              stop|kill) [ -e {{At("$NODE.stop-fails")}} ] || { runs && kill -9 -"$pid"; rm -f {{At("$NODE.pid")}}; };;
            esac
            exit 0
            """);
        Script("fence_lab", $$"""
            #!/bin/sh
            while IFS='=' read -r key value; do [ "$key" = action ] && action=$value; [ "$key" = plug ] && plug=$value; done
            [ -e {{At("broken")}} ] && { echo "the power switch does not answer" >&2; exit 1; }
            case "$action" in
              off) touch {{At("off-$plug.asked")}}; while [ ! -e {{At("$plug.off")}} ]; do sleep 0.02; done;;
              status) [ -e {{At("$plug.off")}} ] && exit 2;;
              on) touch {{At("on-$plug.asked")}};;
            esac
            exit 0
            """);
        device = Task.Run(() => SwitchAsync(over.Token));
        await base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await over.CancelAsync();
        await device;
        await base.DisposeAsync();
        Directory.Delete(directory, recursive: true);
        if (Directory.Exists($"/run/systemd/system/{Unit}.d")) Directory.Delete($"/run/systemd/system/{Unit}.d", recursive: true);
        over.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override async Task UndoAsync()
    {
        Mend();
        foreach (var node in Cluster.Nodes.Keys) Forget(node);
        await base.UndoAsync();
    }

    internal async Task<StatusReport> StatusAsync() => await Cluster.StatusAsync(Deadline()) ?? throw new InvalidOperationException("no agent answers");

    internal async Task<NodeName> OwnerAsync() => (await StatusAsync()).Services.Single().Owner!.Node;

    /// <summary>Until the shared disk's last line is by the node.</summary>
    internal async Task WrittenByAsync(NodeName node)
    {
        for (var deadline = Deadline(); File.ReadLines(Shared).LastOrDefault() != node.Value;) await Task.Delay(20, deadline);
    }

    /// <summary>Who wrote, in order, each as often as the pen changed hands.</summary>
    internal IReadOnlyList<string> Writers()
    {
        var writers = new List<string>();
        foreach (var line in File.ReadLines(Shared).Where(line => line.Length > 0))
            if (writers.LastOrDefault() != line) writers.Add(line);
        return writers;
    }

    internal int Lines(NodeName of) => File.ReadLines(Shared).Count(line => line == of.Value);

    /// <summary>Everything of the node stands still but its writer: agent, guard, store.</summary>
    internal async Task FreezeAllButTheWriterAsync(NodeName node)
    {
        var writer = int.Parse(await File.ReadAllTextAsync(At($"{node}.pid"), Deadline()), System.Globalization.CultureInfo.InvariantCulture);
        foreach (var process in await LabNetwork.ProcessesIn(Cluster.Network.Namespace(node.Value)))
            if (RunningPrograms.StatOf(process, RunningPrograms.Session) is { } session && session != writer) Signals.Send(process, Signals.Stop);
    }

    internal void LetStopFail(NodeName node) => File.WriteAllText(At($"{node}.stop-fails"), "");
    internal void Break() => File.WriteAllText(At("broken"), "");
    internal void Mend() => File.Delete(At("broken"));

    /// <summary>Somebody pulls the plug by hand.</summary>
    internal virtual void PullThePlug(NodeName node)
    {
        Cluster.Kill(node);
        File.Delete(At($"{node}.pid"));
    }

    /// <summary>Switches the node on again.</summary>
    internal void BringBack(NodeName node)
    {
        Forget(node);
        Cluster.BringBack(node);
    }

    private void Forget(NodeName node)
    {
        foreach (var file in new[] { $"{node}.off", $"off-{node}.asked", $"{node}.stop-fails" }) File.Delete(At(file));
    }

    /// <summary>The command line, as an operator has it.</summary>
    internal async Task<(int Code, string Output)> EvenkeelAsync(params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(Checkout.Program, [.. arguments, "--cluster", Name])
        {
            RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true,
        })!;
        process.StandardInput.Close();
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(Deadline()), process.StandardError.ReadToEndAsync(Deadline()));
        await process.WaitForExitAsync(Deadline());
        return (process.ExitCode, await output + await errors);
    }

    private async Task SwitchAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            foreach (var asked in Directory.GetFiles(directory, "off-*.asked"))
            {
                var node = Path.GetFileNameWithoutExtension(asked)["off-".Length..];
                if (File.Exists(At($"{node}.off"))) continue;
                PullThePlug(new NodeName(node));
                await File.WriteAllTextAsync(At($"{node}.off"), "", CancellationToken.None);
            }
            foreach (var asked in Directory.GetFiles(directory, "on-*.asked"))
            {
                File.Delete(asked);
                BringBack(new NodeName(Path.GetFileNameWithoutExtension(asked)["on-".Length..]));
            }
            await Task.Delay(10, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    protected void Script(string file, string text)
    {
        File.WriteAllText(At(file), text + "\n");
        File.SetUnixFileMode(At(file), (UnixFileMode)0b111_101_101);
    }

    protected string At(string file) => Path.Combine(directory, file);
}
