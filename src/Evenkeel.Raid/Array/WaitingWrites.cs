using System.Collections.Concurrent;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Array;

/// <summary>
/// Writes that wait for the lock of their row. Who gets it writes, besides its own, those that adjoin: a stream of small writes becomes
/// writes of whole rows, which need not read, and the others find theirs done. What overlaps is left to its turn: all of them are under way
/// at once, so any order is right, but each as a whole.
/// </summary>
internal sealed class WaitingWrites
{
    private readonly List<Entry>[] _waiting = [.. Enumerable.Range(0, RegionLocks.Count).Select(_ => new List<Entry>())];

    /// <summary>Counts a write among those that wait; dispose it with the row's lock held.</summary>
    public Entry Add(long row, long within, ReadOnlyMemory<byte> buffer)
    {
        var entry = Entry.Rent(row, within, buffer);
        var waiting = Of(row);
        lock (waiting) waiting.Add(entry);
        return entry;
    }

    /// <summary>Takes a write and all that adjoin it, and what adjoins those; the row's lock is held.</summary>
    public void TakeAdjoining(Entry own, Together together)
    {
        var waiting = Of(own.Row);
        lock (waiting)
        {
            waiting.Remove(own);
            together.Begin(own);
            for (var i = 0; i < waiting.Count;)
            {
                if (!together.TryAdd(waiting[i]))
                {
                    i++;
                    continue;
                }

                waiting.RemoveAt(i);
                // What did not adjoin before may do so now.
                i = 0;
            }
        }
    }

    private List<Entry> Of(long row) => _waiting[RegionLocks.IndexOf(row)];

    /// <summary>A write that waits. Used again and again, so that a request allocates nothing.</summary>
    internal sealed class Entry : IDisposable
    {
        private static readonly ConcurrentQueue<Entry> Idle = [];

        public long Row { get; private set; }

        /// <summary>The first sector, counted from the row's first.</summary>
        public long Within { get; private set; }

        public ReadOnlyMemory<byte> Buffer { get; private set; }

        public long End => Within + Buffer.Length / 512;

        /// <summary>Somebody else has written it, or failed to. Read and set with the row's lock held.</summary>
        public bool IsDone { get; private set; }

        /// <summary>Why it was not written.</summary>
        public IOException? Error { get; private set; }

        public static Entry Rent(long row, long within, ReadOnlyMemory<byte> buffer)
        {
            if (!Idle.TryDequeue(out var entry)) entry = new Entry();
            (entry.Row, entry.Within, entry.Buffer, entry.IsDone, entry.Error) = (row, within, buffer, false, null);
            return entry;
        }

        public void Done(IOException? error) => (IsDone, Error) = (true, error);

        public void Dispose()
        {
            Buffer = default;
            Idle.Enqueue(this);
        }
    }

    /// <summary>Adjoining writes as one. Used again and again, so that a request allocates nothing.</summary>
    internal sealed class Together : IDisposable
    {
        private static readonly ConcurrentQueue<Together> Idle = [];
        private readonly List<Entry> _entries = [];
        private IoBuffer? _bytes;
        private long _end;

        /// <summary>The first sector, counted from the row's first.</summary>
        public long Within { get; private set; }

        public static Together Rent() => Idle.TryDequeue(out var together) ? together : new Together();

        public void Begin(Entry entry)
        {
            _entries.Add(entry);
            (Within, _end) = (entry.Within, entry.End);
        }

        /// <returns>Whether it adjoins what is here already.</returns>
        public bool TryAdd(Entry entry)
        {
            if (entry.Row != _entries[0].Row || (entry.Within != _end && entry.End != Within)) return false;
            _entries.Add(entry);
            (Within, _end) = (Math.Min(Within, entry.Within), Math.Max(_end, entry.End));
            return true;
        }

        /// <summary>All bytes in order; valid until this is disposed of.</summary>
        public ReadOnlyMemory<byte> Join()
        {
            if (_entries.Count == 1) return _entries[0].Buffer;
            var length = (int)(_end - Within) * 512;
            _bytes = IoBuffer.Rent(length);
            foreach (var entry in _entries) entry.Buffer.CopyTo(_bytes.Memory[((int)(entry.Within - Within) * 512)..]);
            return _bytes.Memory[..length];
        }

        public void Done(IOException? error)
        {
            foreach (var entry in _entries) entry.Done(error);
        }

        public void Dispose()
        {
            _bytes?.Dispose();
            _bytes = null;
            _entries.Clear();
            Idle.Enqueue(this);
        }
    }
}
