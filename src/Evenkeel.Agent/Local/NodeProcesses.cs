using System.Diagnostics;
using System.Globalization;

namespace Evenkeel.Agent.Local;

/// <summary>
/// The processes of one node of a cluster on this machine: the agent (restarted when it ends by itself, as a service manager
/// would), its guard, and the services that the guard started. Found by what they were started with, never by name.
/// </summary>
public sealed class NodeProcesses(string name, IReadOnlyList<string> prefix, string binary, string configurationFile, string guardSocket, string logFile)
{
    private static readonly TimeSpan RestartDelay = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan KillPause = TimeSpan.FromMilliseconds(20);
    private const int MostKillRounds = 100;
    private readonly Lock _gate = new();
    private Process? _agent;
    private bool _wanted;

    public string Name => name;

    /// <summary>Null while the agent is not running.</summary>
    public int? AgentId
    {
        get
        {
            lock (_gate)
            {
                return _agent is { HasExited: false } agent ? agent.Id : null;
            }
        }
    }

    public void Start()
    {
        lock (_gate)
        {
            _wanted = true;
            StartAgent();
        }
    }

    /// <summary>As a power failure: agent, guard and services are gone at once.</summary>
    public void Kill()
    {
        lock (_gate)
        {
            _wanted = false;
        }

        // Again until there is nothing: something may have been on its way to be started while we looked.
        for (var round = 0; round < MostKillRounds && All() is { Count: > 0 } found; round++)
        {
            foreach (var process in found)
            {
                Signals.Send(process, Signals.Kill);
            }

            Thread.Sleep(KillPause);
        }
    }

    /// <summary>Sends a signal to the agent alone.</summary>
    public void SignalAgent(int signal)
    {
        if (AgentId is { } id)
        {
            Signals.Send(id, signal);
        }
    }

    public void SignalAll(int signal)
    {
        foreach (var process in All())
        {
            Signals.Send(process, signal);
        }
    }

    /// <summary>Asks the agent to stop, with everything it runs; kills what is left after <paramref name="patience"/>.</summary>
    public async Task StopAsync(TimeSpan patience)
    {
        Process? agent;
        lock (_gate)
        {
            _wanted = false;
            agent = _agent;
        }

        if (agent is { HasExited: false })
        {
            Signals.Send(agent.Id, Signals.Terminate);
            using var deadline = new CancellationTokenSource(patience);
            try
            {
                await agent.WaitForExitAsync(deadline.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // Killed below.
            }
        }

        Kill();
    }

    /// <summary>Agent, guard, and the guard's children.</summary>
    public IReadOnlyList<int> All()
    {
        var roots = new List<int>();
        if (AgentId is { } agent)
        {
            roots.Add(agent);
        }

        roots.AddRange(GuardIds());
        return [.. roots, .. Descendants(roots)];
    }

    /// <summary>The guard is no child of ours: it must outlive its agent. Its socket's path is unique to this node.</summary>
    public IReadOnlyList<int> GuardIds() =>
        [.. ProcessTable().Where(process => process.CommandLine.Contains(guardSocket, StringComparer.Ordinal)
            && Path.GetFileName(process.CommandLine[0]) is "evenkeel-guard" or "dotnet").Select(process => process.Id)];

    private void StartAgent()
    {
        IReadOnlyList<string> command = [.. prefix, binary, "agent", "--configuration", configurationFile, "--follow-stdin"];
        var process = new Process
        {
            StartInfo = new ProcessStartInfo(command[0], command.Skip(1))
            {
                UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            },
            EnableRaisingEvents = true,
        };
        process.OutputDataReceived += (_, line) => Log(line.Data);
        process.ErrorDataReceived += (_, line) => Log(line.Data);
        process.Exited += (_, _) => OnExited();
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        _agent = process;
    }

    private void OnExited()
    {
        lock (_gate)
        {
            if (!_wanted)
            {
                return;
            }
        }

        _ = RestartAsync();
    }

    private async Task RestartAsync()
    {
        await Task.Delay(RestartDelay).ConfigureAwait(false);
        lock (_gate)
        {
            if (_wanted && _agent is { HasExited: true })
            {
                StartAgent();
            }
        }
    }

    private void Log(string? line)
    {
        if (line is not null)
        {
            lock (_gate)
            {
                try
                {
                    File.AppendAllText(logFile, line + Environment.NewLine);
                }
                catch (DirectoryNotFoundException)
                {
                    // The cluster was taken down; a killed agent's last words may come after that.
                }
            }
        }
    }

    private static List<int> Descendants(IReadOnlyCollection<int> roots)
    {
        var children = ProcessTable().ToLookup(process => process.Parent, process => process.Id);
        var found = new List<int>();
        var open = new Queue<int>(roots);
        while (open.TryDequeue(out var parent))
        {
            foreach (var child in children[parent].Where(child => !roots.Contains(child) && !found.Contains(child)))
            {
                found.Add(child);
                open.Enqueue(child);
            }
        }

        return found;
    }

    private static IEnumerable<(int Id, int Parent, string[] CommandLine)> ProcessTable()
    {
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out var id))
            {
                continue;
            }

            string stat;
            string[] commandLine;
            try
            {
                stat = File.ReadAllText(Path.Combine(directory, "stat"));
                commandLine = File.ReadAllText(Path.Combine(directory, "cmdline")).Split('\0');
            }
            catch (IOException)
            {
                continue; // it ended while we looked
            }
            catch (UnauthorizedAccessException)
            {
                continue;
            }

            // "pid (name, which may hold anything) state ppid …": the name ends at the last parenthesis.
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            yield return (id, int.Parse(fields[1], CultureInfo.InvariantCulture), commandLine);
        }
    }
}
