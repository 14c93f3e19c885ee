using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using static Evenkeel.Raid.Devices.Uring.Kernel;

namespace Evenkeel.Raid.Devices.Uring;

/// <summary>
/// An io_uring: requests to files without a thread each. Submitting is one system call; one thread waits for all that is done. Results
/// are the kernel's: bytes moved, or an error number below zero.
/// </summary>
internal sealed unsafe class Ring
{
    private const uint EntryCount = 256;
    private const int ReadWrite = 3, SharedPopulated = 0x8001;
    private const int Interrupted = 4, TryAgain = 11, Busy = 16;
    private readonly int _file;
    private readonly RingParameters _parameters;
    private readonly nint _rings;
    private readonly Submission* _submissions;
    private readonly Lock _submitting = new();
    private readonly ConcurrentQueue<RingOperation> _free = [];
    private readonly bool _arena;
    private volatile RingOperation[] _operations = [];

    private Ring(int file, RingParameters parameters, nint rings, nint submissions)
    {
        (_file, _parameters, _rings) = (file, parameters, rings);
        _submissions = (Submission*)submissions;
        _arena = RegisterArena();
        new Thread(ReapForEver) { IsBackground = true, Name = "io_uring" }.Start();
    }

    /// <summary>One for the process; null where the kernel has none or forbids it.</summary>
    public static Ring? Shared { get; } = OperatingSystem.IsLinux() ? TryCreate() : null;

    /// <summary>Whether requests in the arena spare the kernel the mapping.</summary>
    public bool HasRegisteredBuffers => _arena;

    public ValueTask<int> ReadAsync(int file, long offset, Memory<byte> buffer) => Submit(file, offset, buffer, writes: false);

    public ValueTask<int> WriteAsync(int file, long offset, ReadOnlyMemory<byte> buffer) => Submit(file, offset, buffer, writes: true);

    /// <summary>fdatasync.</summary>
    public ValueTask<int> SyncAsync(int file)
    {
        var operation = Take();
        return Submit(operation, new Submission { Operation = Fsync, File = file, OperationFlags = DataSync, UserData = (ulong)operation.Number });
    }

    internal void Return(RingOperation operation) => _free.Enqueue(operation);

    private static Ring? TryCreate()
    {
        RingParameters parameters = default;
        parameters.Flags = 8; // CQSIZE: room for more answers than entries
        parameters.CompletionEntries = 16 * EntryCount;
        var file = (int)SystemCall(Setup, EntryCount, (long)&parameters, 0, 0, 0, 0);
        if (file < 0) return null;
        if ((parameters.Features & SingleMap) != 0 && (parameters.Features & NoDrop) != 0)
        {
            var bytes = (nint)Math.Max(parameters.SqArray + parameters.SubmissionEntries * 4, parameters.Cqes + parameters.CompletionEntries * sizeof(Completion));
            var rings = Map(0, bytes, ReadWrite, SharedPopulated, file, SubmissionRing);
            var submissions = Map(0, (nint)(parameters.SubmissionEntries * sizeof(Submission)), ReadWrite, SharedPopulated, file, Entries);
            if (rings != -1 && submissions != -1) return new Ring(file, parameters, rings, submissions);
        }

        _ = Close(file);
        return null;
    }

    private bool RegisterArena()
    {
        var vector = stackalloc nint[2];
        vector[0] = IoArena.Start;
        vector[1] = IoArena.Bytes;
        return SystemCall(Register, _file, RegisterBuffers, (long)vector, 1, 0, 0) == 0; // refused where memory may not be locked
    }

    private ValueTask<int> Submit(int file, long offset, ReadOnlyMemory<byte> buffer, bool writes)
    {
        var operation = Take();
        var address = operation.Pin(buffer);
        var known = _arena && IoArena.Holds(address, buffer.Length);
        return Submit(operation, new Submission
        {
            Operation = writes ? known ? WriteFixed : Write : known ? ReadFixed : Read,
            File = file, Offset = offset, Address = address, Length = (uint)buffer.Length, UserData = (ulong)operation.Number,
        });
    }

    private ValueTask<int> Submit(RingOperation operation, Submission submission)
    {
        var task = operation.AsTask();
        lock (_submitting)
        {
            ref var tail = ref At(_parameters.SqTail);
            var index = tail & At(_parameters.SqMask);
            _submissions[index] = submission;
            Unsafe32(_parameters.SqArray, index) = index;
            Volatile.Write(ref tail, tail + 1);
            while (SystemCall(Enter, _file, 1, 0, 0, 0, 0) < 0)
                if (Marshal.GetLastPInvokeError() is not (Interrupted or TryAgain or Busy)) throw new IOException($"io_uring failed (errno {Marshal.GetLastPInvokeError()}).");
        }

        return task;
    }

    private RingOperation Take()
    {
        if (_free.TryDequeue(out var operation)) return operation;
        lock (_submitting)
        {
            var made = new RingOperation(this, _operations.Length);
            _operations = [.. _operations, made];
            return made;
        }
    }

    private void ReapForEver()
    {
        ref var head = ref At(_parameters.CqHead);
        var mask = At(_parameters.CqMask);
        var completions = (Completion*)(_rings + (nint)_parameters.Cqes);
        while (true)
        {
            while (head != Volatile.Read(ref At(_parameters.CqTail)))
            {
                var (number, result) = ((int)completions[head & mask].UserData, completions[head & mask].Result);
                Volatile.Write(ref head, head + 1);
                _operations[number].Complete(result);
            }

            _ = SystemCall(Enter, _file, 0, 1, GetEvents, 0, 0);
        }
    }

    private ref uint At(uint offset) => ref *(uint*)(_rings + (nint)offset);

    private ref uint Unsafe32(uint offset, uint index) => ref *(uint*)(_rings + (nint)(offset + index * 4));
}
