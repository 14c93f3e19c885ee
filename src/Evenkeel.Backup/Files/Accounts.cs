using System.Runtime.InteropServices;

namespace Evenkeel.Backup.Files;

/// <summary>Names of users and groups, remembered: a backup asks for the same few a million times. Safe for concurrent use.</summary>
internal sealed class Accounts
{
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, string> _users = [];
    private readonly Dictionary<uint, string> _groups = [];

    /// <summary>The user's name; empty when nobody has that number.</summary>
    public string User(uint id) => Name(_users, id, Native.getpwuid);

    /// <summary>The group's name; empty when there is none.</summary>
    public string Group(uint id) => Name(_groups, id, Native.getgrgid);

    // The C functions answer in static memory: hence under the lock, copied before it is left.
    private string Name(Dictionary<uint, string> known, uint id, Func<uint, nint> look)
    {
        lock (_gate)
        {
            if (!known.TryGetValue(id, out var name))
            {
                var record = look(id);
                name = record == 0 ? "" : Marshal.PtrToStringUTF8(Marshal.ReadIntPtr(record)) ?? "";
                known.Add(id, name);
            }
            return name;
        }
    }
}
