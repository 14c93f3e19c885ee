using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Evenkeel.EndToEnd.Guard;

/// <summary>One node: a real agent process and the guard that it started.</summary>
internal sealed class GuardedNode : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly BlockingCollection<string> _lines = [];
    private readonly string[] _arguments;
    private Process _agent;

    public GuardedNode(string directory, int number, int count, string prefix, int port, string front)
    {
        Number = number;
        Directory.CreateDirectory(Path.Combine(directory, "n" + number));
        // Another guard (one compiled ahead of time) may be tried in the built one's place.
        var guard = Environment.GetEnvironmentVariable("EVENKEEL_TEST_GUARD") ?? Path.Combine(AppContext.BaseDirectory, "evenkeel-guard");
        _arguments = [guard, directory, Text(number), Text(count), prefix, Text(port), front];
        _agent = StartAgent();
    }

    public int Number { get; }
    public int AgentProcess => _agent.Id;
    public int GuardProcess { get; private set; }
    public bool AgentHasExited => _agent.HasExited;
    /// <summary>Everything that the agents of this node said, for the final verdict.</summary>
    public List<string> History { get; } = [];

    private Process StartAgent()
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Evenkeel.TestAgent"), _arguments)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false,
        };
        var agent = Process.Start(start)!;
        agent.OutputDataReceived += (_, line) => { if (line.Data is not null) _lines.Add(line.Data); };
        agent.BeginOutputReadLine();
        return agent;
    }

    public void KillAgent()
    {
        Signal(_agent.Id, "KILL");
        AwaitAgentExit();
    }

    public void RestartAgent()
    {
        KillAgent();
        _agent.Dispose();
        _agent = StartAgent();
    }

    /// <summary>Waits for the agent's greeting by its guard.</summary>
    public string AwaitHello()
    {
        var hello = Await("hello ");
        GuardProcess = int.Parse(hello.Split(' ')[1], CultureInfo.InvariantCulture);
        return hello;
    }

    public void Tell(string command) => _agent.StandardInput.WriteLine(command);

    /// <summary>The next line that begins so; earlier ones are passed over.</summary>
    public string Await(string beginning)
    {
        var deadline = DateTime.UtcNow + Patience;
        while (_lines.TryTake(out var line, deadline - DateTime.UtcNow is { Ticks: > 0 } left ? left : TimeSpan.Zero))
        {
            lock (History) History.Add(line);
            if (line.StartsWith(beginning, StringComparison.Ordinal)) return line;
        }
        throw new TimeoutException($"n{Number} never said '{beginning}': {string.Join(" | ", History)}");
    }

    /// <summary>What was said until now.</summary>
    public IReadOnlyList<string> Drain()
    {
        while (_lines.TryTake(out var line)) History.Add(line);
        return History;
    }

    /// <summary>With a limit, for without one the end of its output is awaited too, which its guard may hold open.</summary>
    public void AwaitAgentExit()
    {
        if (!_agent.WaitForExit(Patience)) throw new TimeoutException($"the agent of n{Number} lives on");
    }

    public static void Signal(int processId, string signal)
    {
        using var kill = Process.Start(new ProcessStartInfo("kill", ["-s", signal, Text(processId)]) { RedirectStandardError = true })!;
        kill.WaitForExit();
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    public void Dispose()
    {
        if (GuardProcess != 0) Signal(GuardProcess, "KILL");
        if (!_agent.HasExited) Signal(_agent.Id, "KILL");
        AwaitAgentExit();
        _agent.Dispose();
        _lines.Dispose();
    }
}
