using System.Text.Json;
using Evenkeel.Agent.Control;

namespace Evenkeel.Agent.Host.Audit;

/// <summary>
/// Every change that somebody asked this agent for, one JSON document a line in <c>audit.jsonl</c> of the state directory (0600),
/// on disk before the asker has the answer. The file is put aside at <see cref="LargestFile"/>, <see cref="FilesKept"/> times.
/// </summary>
internal sealed class AuditTrail(string file, Action<string> log)
{
    public const long LargestFile = 10 << 20;
    public const int FilesKept = 9;

    private readonly Lock _gate = new();

    /// <summary>A full disk stops no operator: what cannot be written goes to the agent's log.</summary>
    public void Add(AuditEntry entry)
    {
        var line = JsonSerializer.SerializeToUtf8Bytes(entry, ControlJson.Default.AuditEntry);
        lock (_gate)
        {
            try
            {
                PutAside();
                using var stream = new FileStream(file, new FileStreamOptions
                {
                    Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.Read, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
                });
                stream.Write([.. line, (byte)'\n']);
                stream.Flush(flushToDisk: true);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                log($"the audit trail cannot be written ({exception.Message}): {System.Text.Encoding.UTF8.GetString(line)}");
            }
        }
    }

    /// <summary>The last entries, the oldest first; a line cut short by a power failure is passed over.</summary>
    public IReadOnlyList<AuditEntry> Last(int most)
    {
        lock (_gate)
        {
            return [.. Enumerable.Range(0, FilesKept + 1).Select(Aside).Where(File.Exists).Reverse()
                .SelectMany(File.ReadLines).Select(Read).OfType<AuditEntry>().TakeLast(most)];
        }
    }

    private static AuditEntry? Read(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, ControlJson.Default.AuditEntry);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private string Aside(int age) => age == 0 ? file : $"{file}.{age}";

    private void PutAside()
    {
        if (!File.Exists(file) || new FileInfo(file).Length < LargestFile)
        {
            return;
        }

        for (var age = FilesKept; age > 0; age--)
        {
            if (File.Exists(Aside(age - 1)))
            {
                File.Move(Aside(age - 1), Aside(age), overwrite: true);
            }
        }
    }
}
