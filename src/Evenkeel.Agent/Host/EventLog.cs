using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Loop;
using Evenkeel.PrivateConnection;

namespace Evenkeel.Agent.Host;

/// <summary>An announcement of the loop with the wall clock's time, for people.</summary>
public sealed record LoggedEvent(
    long Number, DateTimeOffset At, string Kind, string Words, string? Resource, string? Service, string? Node, string? Epoch)
{
    /// <summary>CLOCK_BOOTTIME in milliseconds: comparable between the nodes of a cluster on one machine, and within one node.</summary>
    public double BootMilliseconds { get; init; }
}

/// <summary>
/// The node's events: the last <see cref="Kept"/> in memory, all of them in <c>events.jsonl</c>, which is rotated once at
/// <see cref="LargestFile"/>. A thread of its own writes: a disk or terminal that is slow or full stops no decision.
/// </summary>
internal sealed class EventLog : IDisposable
{
    public const int Kept = 2_000;
    public const long LargestFile = 10 << 20;

    private const int MostUnwritten = 4_096;

    private readonly string _file;
    private readonly Action<string> _log;
    private readonly Action<LoggedEvent, string>? _tell;
    private readonly WaitingQueue<LoggedEvent> _unwritten = new(MostUnwritten);
    private readonly Thread _writer;
    private readonly Lock _gate = new();
    private readonly Queue<LoggedEvent> _events = new();
    private readonly List<Action<LoggedEvent>> _followers = [];
    private long _number;
    private bool _complained;

    /// <param name="log">Told when events cannot be written.</param>
    /// <param name="tell">Told each event, with its line for the log; null: <paramref name="log"/> is.</param>
    public EventLog(string file, Action<string> log, Action<LoggedEvent, string>? tell = null)
    {
        (_file, _log, _tell) = (file, log, tell);
        _writer = new Thread(WriteAll) { Name = "events", IsBackground = true };
        _writer.Start();
    }

    public void Add(Announcement announcement)
    {
        Action<LoggedEvent>[] followers;
        LoggedEvent logged;
        lock (_gate)
        {
            logged = new LoggedEvent(
                ++_number, DateTimeOffset.UtcNow, announcement.Kind.ToString(), announcement.Words,
                announcement.Resource?.Value, announcement.Service, announcement.Node?.Value, announcement.Epoch?.ToString())
            {
                BootMilliseconds = announcement.At.BootNanoseconds / 1e6,
            };
            _events.Enqueue(logged);
            if (_events.Count > Kept)
            {
                _events.Dequeue();
            }

            followers = [.. _followers];
            _unwritten.TryAdd(logged);
        }

        foreach (var follower in followers)
        {
            follower(logged);
        }
    }

    public IReadOnlyList<LoggedEvent> Last(int most)
    {
        lock (_gate)
        {
            return [.. _events.Skip(Math.Max(0, _events.Count - most))];
        }
    }

    /// <summary>Calls back at every further event, on the loop's thread, until disposed.</summary>
    public IDisposable Follow(Action<LoggedEvent> follower)
    {
        lock (_gate)
        {
            _followers.Add(follower);
        }

        return new Subscription(() =>
        {
            lock (_gate)
            {
                _followers.Remove(follower);
            }
        });
    }

    /// <summary>Writes what is left, then returns.</summary>
    public void Dispose()
    {
        _unwritten.Complete();
        _writer.Join();
    }

    private void WriteAll()
    {
        foreach (var logged in _unwritten.TakeAll())
        {
            Write(logged);
            var line = string.Create(CultureInfo.InvariantCulture, $"{logged.Kind}: {logged.Words}");
            if (_tell is null)
            {
                _log(line);
            }
            else
            {
                _tell(logged, line);
            }
        }
    }

    private void Write(LoggedEvent logged)
    {
        try
        {
            var info = new FileInfo(_file);
            if (info.Exists && info.Length > LargestFile)
            {
                File.Move(_file, _file + ".1", overwrite: true);
            }

            File.AppendAllText(_file, JsonSerializer.Serialize(logged, EventLogJson.Default.LoggedEvent) + "\n");
            _complained = false;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (!_complained)
            {
                _log($"events cannot be written to {_file}: {exception.Message}; they are kept in memory");
            }

            _complained = true;
        }
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(LoggedEvent))]
internal sealed partial class EventLogJson : JsonSerializerContext;
